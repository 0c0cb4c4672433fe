"""How the app serves several people: what they may read, and how much one of them may take.

``sfcore app --root DIR`` writes this into the environment, so that the processes of runs have it too. A process that
has none of it works for one person, who may read what the operating system lets them.
"""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import asdict, dataclass
from functools import lru_cache

VARIABLE = "SFCORE_SERVING"


@dataclass(frozen=True)
class Serving:
    """What a server promises, in folders and in bounds.

    Attributes:
        roots: absolute folders that images, datasets, checkpoints and schemes are read from.
        queued: runs of one person that wait or work at once, trials and searches among them.
        upload_mb: megabytes of one person's uploads, with the copies that their runs keep.
        sessions: pages of one person that are open at once.
        visitors: pages of all that are open at once.
        launchers: that visitors may start runs by beside the local one, each with its address, which is None for the
            usual one.
    """

    roots: tuple[str, ...]
    queued: int = 8
    upload_mb: int = 1000
    sessions: int = 10
    visitors: int = 50
    launchers: tuple[tuple[str, str | None], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The variable that says so to a process and its children."""
        return {VARIABLE: json.dumps(asdict(self))}


def serving() -> Serving | None:
    """How this process serves several people; None where it works for one."""
    text = os.environ.get(VARIABLE)
    return _parsed(text) if text else None


@lru_cache(maxsize=4)
def _parsed(text: str) -> Serving:
    content = json.loads(text)
    launchers = tuple((name, address) for name, address in content.get("launchers", ()))
    return Serving(**content | {"roots": tuple(content["roots"]), "launchers": launchers})


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
