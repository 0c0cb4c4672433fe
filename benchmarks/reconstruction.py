"""The table of calibrated and tuned models: schemes × methods, on the same camera and on other cameras.

    python -m benchmarks.reconstruction lstr-r18s --weights LSTR_500000.pkl \\
        --images 'highway[:140]' --images bridge --same 'highway[140:]' --other road-mix --other tusimple6 --out DIR

Every cell is a run folder in DIR, so the table is resumable; DIR/table.md and DIR/table.json hold the result.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from sfcore.devices import resolve_device
from sfcore.files import write_atomic, write_json
from sfcore.quant.methods import methods
from sfcore.runs import RunSpec, create_or_resume
from sfcore.runs.results import compare
from sfcore.runs.worker import work

SCHEMES = ("W8A8", "W8A4", "W4A4")
METHODS = ("netwise", "selective-focus", "lane-focus")
COLUMNS = ("f1", "distortion", "shift_px")


def main() -> None:
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows: list[dict[str, Any]] = []
    for scheme in arguments.bits:
        for method in arguments.methods:
            rows += [row for row in _cell(arguments, scheme, method) if row not in rows]
            write_json(arguments.out / "table.json", rows)
            write_atomic(arguments.out / "table.md", _markdown(rows).encode())
    print(_markdown(rows))


def _cell(arguments: argparse.Namespace, scheme: str, method: str) -> list[dict[str, Any]]:
    """The rows of one run: its calibrated model, where another run has not given the same, and the tuned one."""
    known = {field.name for field in fields(methods()[method])}
    options = {name: value for name, value in _options(arguments.set, {scheme, method}).items() if name in known}
    spec = RunSpec(
        arguments.detector, tuple(arguments.images), scheme, method, arguments.weights, options, seed=arguments.seed
    )
    folder = create_or_resume(arguments.out / f"{scheme}-{method}-{arguments.seed}", spec)
    print(f"{scheme} {method}", file=sys.stderr, flush=True)
    work(folder, watch=_show)
    device = resolve_device("auto")
    same, other = (compare(folder, sources, device=device) for sources in (arguments.same, arguments.other))
    before = "calibrated, heads 16 bits" if spec.settings().wide_heads else "calibrated"
    assert same.tuned is not None and other.tuned is not None  # the run is done
    return [
        _row(scheme, before, same.calibrated, other.calibrated),
        _row(scheme, method, same.tuned, other.tuned),
    ]


def _options(texts: list[str], cell: set[str]) -> dict[str, Any]:
    """``iterations=400`` for all cells, ``W8A8.iterations=400`` or ``W8A8.lane-focus.iterations=400`` for some."""
    found: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        *where, name = key.split(".")
        if cell.issuperset(where):
            found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _row(scheme: str, method: str, same: Any, other: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"scheme": scheme, "method": method}
    for name, found in (("same", same), ("other", other)):
        values = found.to_dict()
        row |= {f"{name}_{c}": None if values[c] is None else round(values[c], 3) for c in COLUMNS}
    return row


def _markdown(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(str(row[n]) for n in names) + " |" for row in rows]) + "\n"


def _show(event: Any) -> None:
    if "held_back" in event:
        print(
            f"  {event['iteration']}: {event['held_back']:.2f} (best {event['best']:.2f})", file=sys.stderr, flush=True
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector")
    parser.add_argument("--weights")
    for name in ("images", "same", "other"):
        parser.add_argument(f"--{name}", action="append", required=True)
    parser.add_argument("--bits", nargs="+", default=SCHEMES)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--set", action="append", default=[], help="[SCHEME.][METHOD.]OPTION=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
