"""One peer in a process of its own, so that its memory and its time are its own: ``python -m benchmarks.peers.child``.

Reads ``{"peer": NAME, "folder": PATH, "problem": {...}}`` from its input, and puts out what was made as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.peers.base import PEERS, Made, Problem
from sfcore.memory import peak

LAST_WORDS = 300  # characters


def apart(name: str, problem: Problem, folder: Path) -> tuple[Made | None, dict[str, Any]]:
    """Let a peer work in a process of its own.

    Returns:
        what it made, None where it failed; and ``seconds`` from the start of Python to the file, those of the
        processor, and the peak memory in MB; or the ``error``.
    """
    asked = {"peer": name, "folder": str(folder), "problem": problem.to_dict()}
    command, begun = [sys.executable, "-m", "benchmarks.peers.child"], time.monotonic()
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True)
    took = time.monotonic() - begun
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        return None, {"error": words[-1][:LAST_WORDS]}
    found = json.loads(done.stdout)
    made = Made(Path(found["file"]), tuple(found["engines"]), found["bits"])
    return made, {"seconds": took, "processor_seconds": found["processor_seconds"], "peak_mb": found["peak_mb"]}


def main() -> None:
    """Do what is asked."""
    asked = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):  # where libraries print as they like
        made = PEERS[asked["peer"]](Problem.from_dict(asked["problem"]), Path(asked["folder"]))
    about = {"file": str(made.file), "engines": made.engines, "bits": made.bits}
    print(json.dumps(about | {"processor_seconds": time.process_time(), "peak_mb": peak() / 1e6}))


if __name__ == "__main__":
    main()
