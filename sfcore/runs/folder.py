"""The run folder: everything that made a result, on disk, readable while the run goes on.

========================  =====================================================================
run.json                  specification, versions, hashes, status; replaced atomically
events.jsonl              what happened, one JSON object a line, append-only while a run goes on
curves.csv, curves.json   the noise-score curves that the selection used
checkpoint.safetensors    from where the run resumes
calibrated.safetensors    the quantized model before tuning
model.safetensors         the tuned model
lanes.json                lanes of a few held-back images at full precision, calibrated and tuned
lock, stop, worker.log    held while a worker runs; asks it to stop; what it printed
========================  =====================================================================
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import sfcore
from sfcore.errors import InputError
from sfcore.files import explained, write_atomic, write_json
from sfcore.runs.spec import RunSpec

FORMAT = 1  # of the run folder; raise it when older code could not read what newer code writes
Status = Literal["queued", "running", "stopped", "done", "failed"]
_LOCK_TRIES = 10  # a glance by is_alive holds the lock for microseconds


class RunFolder:
    """A run on disk; make one with :meth:`create` or :meth:`open`.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, spec: RunSpec) -> RunFolder:
        """Make the folder of a new run with status "queued".

        Raises:
            InputError: the folder holds a run already or cannot be written.
        """
        folder = cls(path)
        if folder._run_json.exists():
            raise InputError(f"{path} holds a run already: open it, or choose another folder")
        with explained(path):
            path.mkdir(parents=True, exist_ok=True)
        versions = {"python": platform.python_version(), "torch": torch.__version__, "sfcore": sfcore.__version__}
        folder._write_record(
            {"format": FORMAT, "spec": spec.to_dict(), "versions": versions, "status": "queued", "created": time.time()}
        )
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run.

        Raises:
            InputError: there is no run, it is damaged, or another version of the project wrote it.
        """
        folder = cls(path)
        if not folder._run_json.is_file():
            raise InputError(f"{path} is no run folder: it holds no run.json; check the path (sfcore runs list)")
        found = folder.record().get("format")
        if found != FORMAT:
            raise InputError(f"{path} is a run of format {found}; this version reads format {FORMAT}: run it anew")
        return folder

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def _run_json(self) -> Path:
        return self.path / "run.json"

    # -- run.json --------------------------------------------------------------------------------

    def record(self) -> dict[str, Any]:
        """The content of run.json.

        Raises:
            InputError: it cannot be read.
        """
        try:
            content = json.loads(self._run_json.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{self._run_json} cannot be read ({error}): restore it or delete the run") from error
        if not isinstance(content, dict):
            raise InputError(f"{self._run_json} holds no run: restore it or delete the run")
        return content

    def update(self, **changes: Any) -> None:
        """Replace fields of run.json; only the process that holds the lock does this while a run goes on."""
        self._write_record(self.record() | changes)

    def _write_record(self, content: Mapping[str, Any]) -> None:
        write_json(self._run_json, content)

    @property
    def spec(self) -> RunSpec:
        return RunSpec.from_dict(self.record()["spec"])

    @property
    def status(self) -> Status:
        """The recorded status; a run whose worker died without a word counts as stopped."""
        status: Status = self.record()["status"]
        return "stopped" if status == "running" and not self.is_alive() else status

    # -- one worker at a time --------------------------------------------------------------------

    @contextmanager
    def lock(self, inherited: int | None = None) -> Iterator[int]:
        """Hold the run for this process; yields the file descriptor, which a child process may inherit.

        The operating system releases the lock when its last holder ends, however it ends.

        Args:
            inherited: the descriptor of a lock that the parent process took.

        Raises:
            InputError: another process holds the run.
        """
        with explained(self.path / "lock"):
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT) if inherited is None else inherited
        try:
            for _ in range(_LOCK_TRIES):
                if _take(descriptor, fcntl.LOCK_EX):
                    break
                time.sleep(0.02)
            else:
                raise InputError(f"the run {self.path} is being worked on already: wait, or stop it (sfcore runs stop)")
            yield descriptor
        finally:
            os.close(descriptor)

    def is_alive(self) -> bool:
        """Whether a worker is on this run."""
        if not (self.path / "lock").exists():
            return False
        descriptor = os.open(self.path / "lock", os.O_RDONLY)
        try:
            return not _take(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def request_stop(self) -> None:
        """Ask the worker to stop after its present step; it keeps a checkpoint to resume from."""
        write_atomic(self.path / "stop", b"")

    @property
    def stop_requested(self) -> bool:
        return (self.path / "stop").exists()

    def clear_stop(self) -> None:
        (self.path / "stop").unlink(missing_ok=True)

    # -- events ----------------------------------------------------------------------------------

    @property
    def _events(self) -> Path:
        return self.path / "events.jsonl"

    def append(self, event: Mapping[str, Any]) -> None:
        """Add an event (with the time it happened) to events.jsonl."""
        line = json.dumps({"time": round(time.time(), 3), **event}) + "\n"
        with explained(self._events), self._events.open("ab") as file:
            file.write(line.encode())

    def events(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The events after byte ``offset``, and the offset to go on from.

        A last line that is still being written, or was torn by a crash, is left for later. When the file has
        become shorter (the run resumed from an older checkpoint), reading starts over: the events then come
        from the beginning, and so does whoever keeps them.
        """
        if not self._events.exists():
            return [], 0
        with self._events.open("rb") as file:
            if offset > file.seek(0, os.SEEK_END):
                offset = 0
            file.seek(offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        return [e for line in whole.splitlines() if (e := _parsed(line)) is not None], offset + len(whole)

    def events_size(self) -> int:
        """Bytes of events.jsonl."""
        return self._events.stat().st_size if self._events.exists() else 0

    def truncate_events(self, size: int) -> None:
        """Forget the events after byte ``size``: a resumed run repeats what happened after its checkpoint."""
        if self.events_size() > size:
            with explained(self._events):
                os.truncate(self._events, size)

    # -- tensors ---------------------------------------------------------------------------------

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any] | None = None) -> None:
        """Write ``<name>.safetensors`` atomically, with a JSON note in its header."""
        # Cloned, because tensors that share memory cannot be stored.
        plain = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
        write_atomic(self.path / f"{name}.safetensors", save(plain, {"note": json.dumps(note or {})}))

    def load_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What :meth:`save_tensors` wrote: tensors and note.

        Raises:
            InputError: the file is missing or damaged.
        """
        path = self.path / f"{name}.safetensors"
        if not path.is_file():
            raise InputError(f"{path} does not exist: the run has not come that far (resume it: sfcore runs resume)")
        try:
            with safe_open(path, "pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["note"])  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error}): delete it and resume the run") from error

    def has_tensors(self, name: str) -> bool:
        return (self.path / f"{name}.safetensors").is_file()

    def drop_tensors(self, name: str) -> None:
        (self.path / f"{name}.safetensors").unlink(missing_ok=True)


def _take(descriptor: int, kind: int) -> bool:
    """Whether the lock could be taken now."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parsed(line: bytes) -> dict[str, Any] | None:
    """An event, or None for a line that a crash left broken."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
