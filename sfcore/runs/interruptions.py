"""What broke the work on a run off, as its record and its events say once it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sfcore import clock
from sfcore.runs.folder import RunFolder
from sfcore.runs.job import node_name
from sfcore.runs.record import LAUNCHED


class Interruptions:
    """Those that a worker knows of and has not written down yet, for what breaks off may be the writing.

    Args:
        folder: of the run, whose lock the worker holds.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._why: dict[str, str | None] = {}  # the node of each, by what happened
        self._waiting: str | None = None

    def look(self) -> None:
        """Whether the record says that somebody works on the run, or did when it was launched anew: that one has ended,
        for its lock is free."""
        record = self._folder.record()
        if record["status"] in LAUNCHED and (process := record.get("pid")):
            self._why[f"the worker of process {process} ended without a word"] = record.get("node")

    def waited(self, why: str, seconds: float) -> None:
        """Storage is full or out of reach, for so long by now."""
        self._why.pop(self._waiting or "", None)
        self._waiting = f"storage failed ({why}), for {seconds:.0f} s"
        self._why[self._waiting] = node_name()
        print(f"{self._folder.path}: {self._waiting}: trying again", flush=True)

    def write(self, emit: Callable[[Mapping[str, Any]], None]) -> None:
        """Write down, and tell, what is known and not written yet."""
        if not self._why:
            return
        found = [{"time": clock.now(), "node": node, "why": why} for why, node in self._why.items()]
        for each in found:  # first, for events are forgotten where the storage fails now, and told again
            text = f"{each['why']}, on {each['node']}; on {node_name()} the run goes on from its last checkpoint"
            emit({"type": "note", "text": text})
        self._folder.update(interruptions=[*self._folder.record().get("interruptions", []), *found])
        self._why, self._waiting = {}, None
