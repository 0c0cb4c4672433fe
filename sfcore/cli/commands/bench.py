"""``sfcore bench``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import Address, Cores, Device, Launcher, Transforms
from sfcore.cli.console import Answer

SHARED = "Of all methods that have it."


@dataclass(frozen=True, kw_only=True)
class Bench(Command):
    """Tune many detectors by many methods, judge them on unseen images and write the tables; again to resume."""

    detectors: Annotated[
        list[str],
        typer.Option(
            metavar="NAME...",
            help="'all' for every one of lanes that has weights, a task such as boxes2d for every one of it.",
        ),
    ]
    methods: Annotated[
        list[str],
        typer.Option(metavar="NAME...", help="'all' for every one; a row of its own: LABEL=NAME:OPTION=VALUE."),
    ]
    out: Annotated[str, typer.Option(metavar="DIR", help="Gets report.md, results.csv, tables and run folders.")]
    bits: Annotated[
        list[str],
        typer.Option(
            metavar="WxAy...",
            default_factory=lambda: ["W8A8", "W8A4", "W4A4"],
            show_default=False,
            help="Schemes, as of sfcore tune, or budgets such as 4.5bit, for which each detector is allocated bits of "
            "its own (default: W8A8 W8A4 W4A4).",
        ),
    ]
    candidates: Annotated[
        list[int] | None,
        typer.Option(metavar="N...", help="Widths that budgets choose from (default: 3 4 5 6 8 16)."),
    ] = None
    seeds: Annotated[
        list[int],
        typer.Option(
            metavar="N...", default_factory=lambda: [0, 1, 2], show_default=False, help="Of the cells (default: 0 1 2)."
        ),
    ]
    images: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE...", help="Calibration images, as of sfcore tune (default: rendered scenes)."),
    ] = None
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="At most N of them (default: all; 64 rendered scenes).")
    ] = None
    test: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]SOURCE...",
            help="Unseen images, a column of the tables each: a source or a labelled dataset "
            "(default: other rendered scenes).",
        ),
    ] = None
    test_limit: Annotated[
        int | None, typer.Option(metavar="N", help="At most N of each (default: all; 100 rendered scenes).")
    ] = None
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="DETECTOR=FILE[::KEY]...", help="Checkpoints other than the shipped."),
    ] = None
    k: Annotated[
        list[int] | None,
        typer.Option(metavar="N...", help="Further cells of selective-focus, for the table of k."),
    ] = None
    transforms: Transforms = None
    iterations: Annotated[int | None, typer.Option(metavar="N", help=SHARED)] = None
    batch: Annotated[int | None, typer.Option(metavar="N", help=SHARED)] = None
    learning_rate: Annotated[float | None, typer.Option(metavar="X", help=SHARED)] = None
    lam: Annotated[float | None, typer.Option(metavar="X", help=SHARED)] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[NAME.]OPTION=VALUE...",
            help="Options of some cells, such as block.iterations=100 or W8A8.netwise.batch=4; later ones win.",
        ),
    ] = None
    jobs: Annotated[int, typer.Option("--jobs", "--workers", metavar="N", help="Cells at a time.")] = 1
    launcher: Launcher = "local"
    address: Address = None
    cores: Cores = 1
    device: Device = "auto"

    def answer(self) -> Answer:
        from sfcore.cli.bench import run

        return run(self)
