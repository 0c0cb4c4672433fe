"""``sfcore detectors``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfcore.cli.commands.detectors import Detectors
from sfcore.cli.console import Answer, table
from sfcore.detectors import registry


def run(_: Detectors) -> Answer:
    """List the detectors, their heads and the weights that ship."""
    content: list[dict[str, Any]] = []
    for entry in registry.entries():
        detector = entry.sample
        heads = [{"name": h.name, "role": h.role, "confidence": h.confidence} for h in detector.heads]
        shipped = entry.shipped
        content.append(
            {
                "name": entry.name,
                "task": detector.task_name,
                "input": detector.preprocessing.kind,
                "heads": heads,
                "weights": str(shipped) if shipped else None,
                "f1": entry.score.get("f1"),
            }
        )
    rows = [
        {
            "detector": d["name"],
            "task": d["task"],
            "input": d["input"],
            "heads": ", ".join(h["name"] for h in d["heads"]),
            "F1 on rendered scenes": d["f1"],
            "shipped weights": Path(d["weights"]).name if d["weights"] else None,
        }
        for d in content
    ]
    return Answer(content, table(rows))
