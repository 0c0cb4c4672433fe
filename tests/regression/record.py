"""Write down the hashes of this machine: ``python -m tests.regression.record``; what is recorded already is kept."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.regression import recorded
from tests.regression.recorded import HASHES, METHODS, METRICS, TINY


def main() -> None:
    """Carry the whole list out, which takes some minutes."""
    known = json.loads(HASHES.read_text()) if HASHES.is_file() else {}
    here = known.setdefault(recorded.place(), {})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for detector in TINY:
            for method in METHODS:
                if f"tune {detector} {method}" not in here:
                    here[f"tune {detector} {method}"] = recorded.tuned(detector, method, root / f"{detector}-{method}")
            here[f"curves {detector}"] = recorded.curves(detector, root / f"{detector}-curves")
            here[f"layers {detector}"] = recorded.layers(detector, root)
            print(detector, flush=True)
        for name in METRICS:
            here[f"metric {name}"] = recorded.metric(name, root)
    HASHES.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
