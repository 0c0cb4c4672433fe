"""``sfcore distil``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfcore.cli.commands.distil import Distil
from sfcore.cli.console import Answer, Progress
from sfcore.datasets.distilled import DISTILLING, PREFIX, Distilled
from sfcore.detectors import registry
from sfcore.devices import resolve_device
from sfcore.distil.images import distil
from sfcore.files import explained, parse_json, read_bytes, read_text, write_atomic
from sfcore.names import printable


def run(arguments: Distil) -> Answer:
    """Make the images, or take them from the cache, and write them down with how they were made."""
    what = asked(arguments)
    device = resolve_device(arguments.device)
    detector = registry.create(arguments.detector, arguments.weights, device, arguments.weights_key)
    with Progress() as progress:
        made = distil(detector, what, progress.phase_of(DISTILLING))
    out = Path(arguments.out)
    _copy(made, out)
    content = parse_json(read_text(made.manifest))
    return Answer({"out": str(out), **content}, _text(content, str(what), printable(out)))


def asked(arguments: Distil) -> Distilled:
    """What the options say, checked as the source of that name would be. Raises InputError: see Distilled.parse."""
    given = {name: getattr(arguments, name) for name in ("epsilon", "spread", "steps")}
    words = [f"{name}={value}" for name, value in given.items() if value is not None]
    words += ["zeroq"] * arguments.zeroq + [f"seed={arguments.seed}"]
    return Distilled.parse(",".join([f"{PREFIX}{arguments.count}", *words]))


def _copy(made: Distilled, out: Path) -> None:
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    for file in (*map(made.file, range(made.count)), made.manifest):
        write_atomic(out / file.name, read_bytes(file))


def _text(content: dict[str, Any], source: str, out: str) -> str:
    start, end = (
        sum(batch[name] for batch in content["batches"]) / len(content["batches"]) for name in ("start", "end")
    )
    found = content["diversity"]
    spread = f"{found['spread']:.3f}" if found["spread"] is not None else "–"
    return (
        f"{content['count']} images and distilled.json are in {out}; --images {source} takes the same\n"
        f"loss {start:.4g} → {end:.4g}; layer means: spread {spread} σ over images, offset {found['offset']:.3f} σ\n"
        "made from the network's batch norms, no photographs: calibrate on them, do not judge on them"
    )
