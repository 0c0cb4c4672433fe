"""What people write on a run: tags and a note, in ``labels.json`` of its folder.

They have a file of their own, because the worker of a run that goes on replaces run.json at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sfcore.errors import InputError
from sfcore.files import write_json
from sfcore.runs.folder import RunFolder

FILE = "labels.json"
LONGEST_TAG = 40  # characters


@dataclass(frozen=True)
class Tags:
    """What people wrote on a run.

    Attributes:
        tags: a few words each, without repetition, in order.
        note: any text.
    """

    tags: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def of(cls, tags: Iterable[str], note: str) -> Tags:
        """Tags as they were typed: trimmed, sorted, each tag once.

        Raises:
            InputError: a tag is too long.
        """
        kept = sorted({" ".join(tag.split()) for tag in tags} - {""})
        for tag in kept:
            if len(tag) > LONGEST_TAG:
                raise InputError(f"the tag {tag!r} has {len(tag)} characters: {LONGEST_TAG} are allowed; use the note")
        return cls(tuple(kept), note.strip())


def tags_of(run: RunFolder) -> Tags:
    """What is written on a run; nothing where the file is missing or damaged."""
    try:
        content = json.loads((run.path / FILE).read_text(encoding="utf-8"))
        return Tags(tuple(map(str, content["tags"])), str(content["note"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Tags()


def write_tags(run: RunFolder, new: Tags) -> None:
    """Replace what is written on a run, which may be going on. Raises InputError: it cannot be written."""
    write_json(run.path / FILE, asdict(new))
