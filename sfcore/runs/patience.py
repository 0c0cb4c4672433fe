"""Waiting for storage that is full or out of reach: what a person or a machine mends in minutes shall cost no run.

The standard library is enough for it, so that what waits on a cluster is light.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
PASSING = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETUNREACH, errno.ENOTCONN, errno.ECONNRESET, errno.EREMOTEIO,
})  # fmt: skip
FIRST, LONGEST = 1.0, 30.0  # seconds between two tries: doubled each time


def reason(error: BaseException) -> str | None:
    """What the operating system says of storage that may come back; None for every other error."""
    found = error if isinstance(error, OSError) else error.__cause__
    return found.strerror if isinstance(found, OSError) and found.errno in PASSING else None


def patiently(call: Callable[[], T], patience: float, tell: Callable[[str, float], None] | None = None) -> T:
    """Call, and call again while storage is full or out of reach.

    Args:
        patience: for how many seconds it is waited at most; what is raised after that, or for another reason, is raised
            here.
        tell: is given the reason, and the seconds that have passed, before each further call.
    """
    begun, pause = time.monotonic(), FIRST
    while True:
        try:
            return call()
        except Exception as error:
            why, passed = reason(error), time.monotonic() - begun
            if why is None or passed >= patience:
                raise
        time.sleep(min(pause, max(patience - passed, 0.0)))
        pause = min(2 * pause, LONGEST)
        if tell:
            with suppress(OSError):  # what is told may go to a log on the same storage
                tell(why, time.monotonic() - begun)
