"""Files that visitors upload: checked, bounded, each visitor's apart, and gone when they are no longer used.

All of a server's uploads lie in one folder of its own, readable by nobody else, with a locked file in it. The operating
system lets go of the lock when the server ends, however it ends; the next one removes the folders that nobody holds.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from app.team import activity, limits
from sfcore.errors import InputError
from sfcore.inputs.base import InputSpec
from sfcore.names import printable
from sfcore.roots import UPLOADS, real

MOST_FRAMES = 100  # that a visitor may give at once
FRAME_MB, FRAMES_MB = 20, 300  # of one frame, and of all of a visitor's together
PREFIX = UPLOADS
_LOCK = "held"


class Upload(Protocol):
    """What Streamlit's uploader gives."""

    name: str
    size: int
    file_id: str

    def getbuffer(self) -> memoryview: ...


class Uploads:
    """One visitor's uploads."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=server_folder())
        self._refused: dict[str, str] = {}

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    def close(self) -> None:
        """Remove all of them."""
        self._folder.cleanup()

    def frames(self, files: Sequence[Upload], spec: InputSpec) -> tuple[list[Path], list[str]]:
        """Keep these frames and no others; returns where they lie, and what is wrong with the rest.

        Args:
            spec: what is to read them.

        Raises:
            InputError: there are too many, or they are too large together.
        """
        kind, things = spec.kind, f"{spec.noun}s"
        self._keep_only(kind, files)
        if len(files) > MOST_FRAMES:
            raise InputError(f"{len(files)} {things} are too many: upload at most {MOST_FRAMES}, or use Folder")
        megabytes = sum(file.size for file in files) / 2**20
        if megabytes > FRAMES_MB:
            raise InputError(f"the {things} take {megabytes:.0f} MB: upload at most {FRAMES_MB} MB, or use Folder")
        self._check_room(kind, files)
        kept = []
        for file in files:
            try:
                kept.append(self._frame(file, spec))
            except InputError as error:
                self._refused[file.file_id] = str(error)
        return kept, [self._refused[file.file_id] for file in files if file.file_id in self._refused]

    def weights(self, file: Upload | None) -> Path | None:
        """Keep this checkpoint and no other."""
        self._keep_only("weights", [file] if file else [])
        self._check_room("weights", [file] if file else [])
        return self._written("weights", file) if file else None

    def _frame(self, file: Upload, spec: InputSpec) -> Path:
        """The frame's file; it is read once, when it comes, so that what lies there can be read."""
        if file.file_id in self._refused:
            raise InputError(self._refused[file.file_id])
        if file.size > FRAME_MB * 2**20:
            raise InputError(f"{file.name} takes {file.size / 2**20:.0f} MB: scale it down to at most {FRAME_MB} MB")
        known = self._path(spec.kind, file).exists()
        path = self._written(spec.kind, file)
        try:
            if not known:
                spec.check(path)
        except InputError as error:
            shutil.rmtree(path.parent)
            raise InputError(str(error).replace(printable(path), file.name)) from error
        return path

    def _check_room(self, kind: str, files: Sequence[Upload]) -> None:
        """Refuse new files for which this visitor has no room. Raises InputError: see :func:`limits.check_room`."""
        new = sum(file.size for file in files if not self._path(kind, file).exists())
        if new:
            limits.check_room(new + sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()))

    def _path(self, kind: str, file: Upload) -> Path:
        return self.folder / kind / file.file_id / Path(file.name).name[-60:]

    def _written(self, kind: str, file: Upload) -> Path:
        path = self._path(kind, file)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.getbuffer())
            activity.note("upload", file.name)
        return path

    def _keep_only(self, kind: str, files: Sequence[Upload]) -> None:
        """Remove what the visitor has taken back."""
        kept = {file.file_id for file in files}
        for path in (self.folder / kind).glob("*"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def refuse(path: str) -> None:
    """Uploads are for those who made them: no path that a visitor types leads to them.

    Raises:
        InputError: the path does, or is none.
    """
    if any(part.startswith(PREFIX) for part in real(path).parts):
        raise InputError(f"{path} holds what visitors have uploaded: choose another path")


@cache
def server_folder() -> Path:
    """Where this server keeps uploads; made at the first call, removed when the server ends."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    _hold(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def sweep() -> None:
    """Remove what servers have left that ended without a word."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_LOCK}"):
        with suppress(OSError), FileLock(lock, blocking=False):  # held by a server that lives, or another person's
            shutil.rmtree(lock.parent, ignore_errors=True)


def _hold(folder: Path) -> None:
    """Lock the folder until this process ends; the file gets its name only when it is locked."""
    lock = FileLock(folder / "new", thread_local=False)
    lock.acquire()
    os.rename(folder / "new", folder / _LOCK)
    _held.append(lock)


_held: list[FileLock] = []
