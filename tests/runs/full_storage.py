"""What happens to a run whose storage is full for some seconds: ``python full_storage.py FOLDER`` fills FOLDER's file
system and prints the run's record and its steps. The worker's log is there, too."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from sfcore.runs import RunFolder, RunSpec

WORKER = Path(__file__).with_name("fake_worker.py")
SECONDS = 3.0
BLOCK = bytes(512)


def fill(file: Path) -> None:
    """Write until nothing more fits."""
    with file.open("ab", buffering=0) as filling:
        try:
            while filling.write(BLOCK):
                pass
        except OSError:
            return


def main(folder: Path) -> None:
    """Begin a run, fill the storage, make room again, and wait for the run's end."""
    spec = RunSpec("lstr-r18s", ("frames",), "W4A4", "netwise", "some.pkl")
    run = RunFolder.create(folder / "run", spec)
    with (run.path / "worker.log").open("ab") as log:
        worker = subprocess.Popen([sys.executable, str(WORKER), str(run.path), "60"], stdout=log, stderr=log)
    while not run.has_tensors("checkpoint"):
        assert worker.poll() is None, (run.path / "worker.log").read_text()
        time.sleep(0.05)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:  # again and again, for what replaces a file makes room
        fill(folder / "filling")
        time.sleep(0.02)
    (folder / "filling").unlink()
    code = worker.wait()
    steps = [event["iteration"] for event in run.events()[0] if event["type"] == "step"]
    place = run.load_tensors("model")[0]["place"].tolist()
    print(json.dumps({"code": code, "record": run.record(), "steps": steps, "place": place}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
