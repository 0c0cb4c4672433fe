"""A worker whose session is a small deterministic walk: ``python fake_worker.py FOLDER [PATIENCE]``."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfcore.runs import RunFolder, worker
from sfcore.runs.protocol import Report

STEPS = 40


class Walk:
    """Adds a random number at each step; later steps depend on all earlier ones."""

    def __init__(self, seconds: float) -> None:
        self.iteration = 0
        self.place = torch.zeros(3)
        self.generator = torch.Generator().manual_seed(7)
        self.seconds = seconds

    @property
    def done(self) -> bool:
        return self.iteration == STEPS

    def step(self) -> Mapping[str, Any]:
        time.sleep(self.seconds)
        self.place = 0.9 * self.place + torch.rand(3, generator=self.generator)
        self.iteration += 1
        event = {"iteration": self.iteration, "iterations": STEPS, "loss": float(self.place.sum())}
        return event | ({"held_back": 1.0} if self.iteration % 10 == 0 else {})

    def state(self) -> dict[str, Tensor]:
        numbers = torch.tensor(self.iteration)
        return {"place": self.place, "iteration": numbers, "generator": self.generator.get_state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.place, self.iteration = state["place"], int(state["iteration"])
        self.generator.set_state(state["generator"])


class WalkSession:
    notes: tuple[str, ...] = ()

    def __init__(self, seconds: float = 0.0) -> None:
        self.tuner = Walk(seconds)

    def look(self, folder: RunFolder) -> None:
        folder.preview.append({"iteration": self.tuner.iteration})

    def finish(self, folder: RunFolder) -> None:
        folder.save_tensors("model", {"place": self.tuner.place})


def assemble(folder: RunFolder, report: Report) -> WalkSession:
    report("getting ready", 1, 1)
    return WalkSession()


def assemble_slowly(folder: RunFolder, report: Report) -> WalkSession:
    report("getting ready", 1, 1)
    return WalkSession(0.05)


if __name__ == "__main__":
    worker.CHECKPOINT_SECONDS = 0.2
    patience = float(sys.argv[2]) if len(sys.argv) > 2 else None
    worker.work(RunFolder.open(Path(sys.argv[1])), assemble=assemble_slowly, patience=patience)
