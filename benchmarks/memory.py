"""Peak memory of block-wise tuning at the published size: ``python -m benchmarks.memory``.

512 rendered scenes at 320 × 800 through QDrop on GANet small, whose random weights need as much room as trained ones,
with the published batch, as ``sfcore tune`` in a process of its own. A short run: steps repeat the same work, so their
number changes the time and not the memory. Give it no more than it shall need, as a container or a service manager
does (``systemd-run --scope -p MemoryMax=6G``); caches then go to disk by themselves.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from sfcore.detectors.registry import entry
from sfcore.runs.folder import RunFolder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", default="ganet-small")
    parser.add_argument("--method", default="qdrop")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=5, help="steps of each unit")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        frames, weights, run = (Path(folder) / name for name in ("frames", "weights.safetensors", "run"))
        torch.manual_seed(0)
        detector = entry(arguments.detector).build()
        save_file(detector.state_dict(), weights)
        height, width = detector.preprocessing.size
        _sfcore("scenes", "--out", frames, "--count", arguments.images, "--size", f"{width}x{height}")
        _sfcore(
            "tune", arguments.detector, "--weights", weights, "--images", frames, "--bits", "W4A4", "--out", run,
            "--method", arguments.method, "--batch", arguments.batch, "--iterations", arguments.iterations,
        )  # fmt: skip
        record, (events, _) = RunFolder(run).record(), RunFolder(run).events()
    units = max((event["unit"][1] for event in events if "unit" in event), default=0)
    print(json.dumps({"peak_gb": record["memory"] / 1e9, "units": units, "seconds": round(record["worked"])}))


def _sfcore(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "sfcore", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
