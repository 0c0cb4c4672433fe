"""``sfcore allocate``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.options import Detector, Images, Seed, SomeImages, Weights, WeightsKey
from sfcore.cli.commands.shared import SharedCommand
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class Allocate(SharedCommand):
    """Give each layer the bits that the prediction needs of it, within a budget; the result is a scheme for --bits."""

    detector: Detector
    images: Images
    budget: Annotated[
        list[str],
        typer.Option(
            metavar="BUDGET...",
            help="4.5bit: average bits of weights, and no more bit operations than all layers at so many would take. "
            "Also 4.5wbit, 6abit, 40%size, 25%bops (of the network at the largest candidate; 115%bops@W4A4: of a "
            "scheme), 1.2MB, 5GBOPs. All that are given hold.",
        ),
    ]
    out: Annotated[str, typer.Option(metavar="FILE.json", help="Gets the scheme.")]
    candidates: Annotated[
        list[int] | None,
        typer.Option(metavar="N...", help="Widths to choose from, such as 4 8 16 (default: 3 4 5 6 8 16)."),
    ] = None
    equal: Annotated[bool, typer.Option("--equal", help="Weights and activations of a layer get the same bits.")] = (
        False
    )
    shared: Annotated[
        bool,
        typer.Option("--shared", help="Layers that read one tensor, or tensors that are added, read it in one width."),
    ] = False
    strategy: Annotated[str, typer.Option(help="milp, greedy or uniform")] = "milp"
    criterion: Annotated[
        str, typer.Option(help="What counts as harm: distortion; or as peers do, mse, cosine, hessian, gradient.")
    ] = "distortion"
    rounds: Annotated[int, typer.Option(metavar="N", help="Of measuring what was chosen and adjusting.")] = 2
    test: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE...", help="Unseen images to judge on (default: a quarter of --images)."),
    ] = None
    front: Annotated[
        int | None, typer.Option(metavar="N", help="Also measure N budgets, and uniform schemes beside them.")
    ] = None
    front_axis: Annotated[str, typer.Option(metavar="bops|size", help="What the budgets of the front are of.")] = "bops"
    weights: Weights = None
    weights_key: WeightsKey = None
    limit: SomeImages = 64
    seed: Seed = 0

    def answer(self) -> Answer:
        from sfcore.cli.allocate import run

        return run(self)
