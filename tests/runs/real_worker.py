"""The real worker with a checkpoint after every step: ``python real_worker.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from sfcore.runs import RunFolder, worker

if __name__ == "__main__":
    torch.set_num_threads(1)
    worker.CHECKPOINT_SECONDS = 0.0
    worker.work(RunFolder.open(Path(sys.argv[1])))
