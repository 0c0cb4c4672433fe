"""The run folder: everything that made a result, on disk, readable while the run goes on.

========================  =====================================================================
run.json                  specification, versions, hashes, status; replaced atomically
events.jsonl              what happened, one JSON object a line, append-only while a run goes on
curves.csv, curves.json   the noise-score curves that the selection used
checkpoint.safetensors    from where the run resumes
calibrated.safetensors    the quantized model before tuning
model.safetensors         the tuned model
lanes.json                predictions about a few held-back images at full precision, calibrated and tuned; called
                          after what the task finds
preview.jsonl, .jpg       predictions about one held-back image as tuning moves them, and the image
lock, stop, worker.log    held while a worker runs or waits; asks it to stop; what it printed
========================  =====================================================================
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

import sfcore
from sfcore import clock
from sfcore.datasets.images import content_hash
from sfcore.errors import InputError
from sfcore.files import Stamp, explained, stamp, write_atomic, write_json
from sfcore.json_lines import JsonLines
from sfcore.locks import take
from sfcore.records import checked
from sfcore.runs import queue
from sfcore.runs.events import EVENT, TYPES
from sfcore.runs.launcher import launcher_of
from sfcore.runs.migration import migrated
from sfcore.runs.record import FORMAT, LAUNCHED, RECORD, RunRecord, Status
from sfcore.runs.spec import RunSpec
from sfcore.tensors import read_about, read_tensors

_LOCK_TRIES, _LOCK_PAUSE = 10, 0.02  # and seconds between them: a glance by is_alive holds the lock for microseconds


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
        folder.record()
        return folder

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def launcher(self) -> str:
        """The name of the launcher that it was launched by, or will be unless told otherwise."""
        return queue.launcher_name(queue.read_record(self.path))

    @property
    def _run_json(self) -> Path:
        return self.path / queue.RECORD

    # -- run.json --------------------------------------------------------------------------------

    def record(self) -> RunRecord:
        """The content of run.json, in the present form.

        Raises:
            InputError: it cannot be read, another version wrote it, or a field is of a wrong type.
        """
        try:
            content = json.loads(self._run_json.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{self._run_json} cannot be read ({error}): restore it or delete the run") from error
        if not isinstance(content, dict):
            raise InputError(f"{self._run_json} holds no run: restore it or delete the run")
        content = migrated(content) if content.get("format") == 1 else content
        if content.get("format") != FORMAT:
            raise InputError(f"{self.path} is {_foreign(content)}")
        return checked(RECORD, content, f"{self._run_json} is damaged")

    def update(self, **changes: Any) -> None:
        """Replace fields of run.json; only the process that holds the lock does this while a run goes on."""
        self._write_record({**self.record(), **changes})

    def _write_record(self, content: Mapping[str, Any]) -> None:
        write_json(self._run_json, content)

    @property
    def spec(self) -> RunSpec:
        return RunSpec.from_dict(self.record()["spec"])

    def check_weights(self) -> None:
        """Refuse a run whose checkpoint is another file by now: its models would be held against another's.

        Raises:
            InputError: the content is not what it was when the run began, or there is no file. A run that has noted
                nothing, because it has not begun or is of an older version, is not judged.
        """
        noted = self.record().get("weights_hash")
        file = self.spec.weights_file() if noted else None
        if file and _hash(file, stamp(file)) != noted:
            raise InputError(
                f"{file} has changed since the run {self.path} began with it: put the old file back, or start a new run"
            )

    @property
    def status(self) -> Status:
        """The recorded status; a run whose process ended without a word, at work or in the queue, counts as stopped."""
        alive = self.is_alive()  # asked before the record is read: a worker writes down how it ended, then lets go
        record = self.record()
        status: Status = record["status"]
        launched = status == "running" or (status == "queued" and not record.keys().isdisjoint(("launcher", "turn")))
        return "stopped" if launched and not alive else status

    # -- one worker at a time --------------------------------------------------------------------

    @contextmanager
    def lock(self, inherited: int | None = None, patience: float = 0.0) -> Iterator[int]:
        """Hold the run for this process; yields the file descriptor, which a child process may inherit.

        The operating system releases the lock when its last holder ends, however it ends.

        Args:
            inherited: the descriptor of a lock that the parent process took.
            patience: seconds that it is waited for another that holds the run, beyond those of a glance at it.

        Raises:
            InputError: another process holds the run.
        """
        with explained(self.path / queue.LOCK):
            descriptor = os.open(self.path / queue.LOCK, os.O_RDWR | os.O_CREAT) if inherited is None else inherited
        try:
            for _ in range(_LOCK_TRIES + int(patience / _LOCK_PAUSE)):
                if take(descriptor):
                    break
                time.sleep(_LOCK_PAUSE)
            else:
                raise InputError(f"the run {self.path} is being worked on already: wait, or stop it (sfcore runs stop)")
            yield descriptor
        finally:
            os.close(descriptor)

    def is_alive(self) -> bool:
        """Whether a process works on this run or waits for its turn, wherever it was launched."""
        return launcher_of(self).is_alive(self)

    def enqueue(self, launcher: str, **noted: Any) -> None:
        """Write down that the run is launched; for a launcher that holds the lock.

        Args:
            launcher: its name.
            noted: fields of run.json that it needs later.

        Raises:
            InputError: the run is done.
        """
        if (status := self.record()["status"]) == "done":
            raise InputError(f"the run {self.path} is done: there is nothing to go on with")
        self.clear_stop()
        fresh = dict.fromkeys(("ended", "error", "address", "job"))
        if status not in LAUNCHED:  # or the next worker could not say whose work broke off, and where
            fresh |= dict.fromkeys(("pid", "node"))
        self.update(**{**fresh, "status": "queued", "launcher": launcher, **noted})

    def request_stop(self) -> None:
        """Ask the worker to stop after its present step; it keeps a checkpoint to resume from."""
        write_atomic(self.path / queue.STOP, b"")

    @property
    def stop_requested(self) -> bool:
        return (self.path / queue.STOP).exists()

    def clear_stop(self) -> None:
        (self.path / queue.STOP).unlink(missing_ok=True)

    # -- what happens ----------------------------------------------------------------------------

    @property
    def _events(self) -> JsonLines:
        return JsonLines(self.path / "events.jsonl")

    @property
    def preview(self) -> JsonLines:
        """What is predicted about one frame while the run goes on: see :mod:`sfcore.runs.preview`."""
        return JsonLines(self.path / "preview.jsonl")

    def append(self, event: Mapping[str, Any]) -> None:
        """Add an event (with the time it happened) to events.jsonl."""
        checked(EVENT, dict(event), "the event")
        self._events.append({"time": round(clock.now(), 3), **event})

    def events(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The events after byte ``offset``, and the offset to go on from: see :meth:`JsonLines.read`.

        Events of types that this version does not know are left out.

        Raises:
            InputError: a field of an event is missing or of a wrong type.
        """
        lines, end = self._events.read(offset)
        known = [line for line in lines if line.get("type") in TYPES]
        return [checked(EVENT, line, f"{self._events.path} is damaged") for line in known], end

    def sizes(self) -> dict[str, int]:
        """How far events and preview are: what a checkpoint notes."""
        return {"events": self._events.size, "preview": self.preview.size}

    def truncate(self, sizes: Mapping[str, int]) -> None:
        """Forget the events and the preview after :meth:`sizes`."""
        self._events.truncate(sizes.get("events", 0))
        self.preview.truncate(sizes.get("preview", 0))

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
            return read_tensors(path), json.loads(read_about(path)["note"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error}): delete it and resume the run") from error

    def has_tensors(self, name: str) -> bool:
        return (self.path / f"{name}.safetensors").is_file()

    def drop_tensors(self, name: str) -> None:
        (self.path / f"{name}.safetensors").unlink(missing_ok=True)


def _foreign(content: Mapping[str, Any]) -> str:
    """What a record of a format is that this version does not read, who wrote it, and what to do."""
    found, versions = content.get("format"), content.get("versions")
    writer = versions.get("sfcore") if isinstance(versions, dict) else None
    by = f", which sfcore {writer} wrote" if writer else ""
    newer = isinstance(found, int) and found > FORMAT
    advice = "update sfcore, or run it anew" if newer else "run it anew"
    return f"a run of format {found}{by}; sfcore {sfcore.__version__} reads formats 1 and {FORMAT}: {advice}"


@lru_cache(maxsize=256)
def _hash(file: Path, _: Stamp) -> str:
    """A checkpoint is read again only where its stamp is another: pages ask for each frame."""
    return content_hash([file])
