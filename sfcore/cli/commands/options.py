"""Arguments and options that several commands have."""

from typing import Annotated, Any, NamedTuple, Self

import typer

from sfcore.resources import sample_data


def _shipped() -> list[str]:
    """The detectors that need no weights of one's own, by the files of theirs: those of all would wait for PyTorch."""
    return sorted(file.stem for file in (sample_data() / "weights").glob("*.safetensors"))


SOURCE = (
    "Folder, dataset, video, rendered scenes ('scenes:600') or sweeps ('sweeps:64'), images distilled from the network "
    "('distilled:64'), part of one ('frames[:140]', 'drive.mp4[::10]') or file"
)
LIMIT = "At most N images, evenly spread over the sources"
RUN = "Run folder, or the name of a run in the folder of runs."

Detector = Annotated[
    str, typer.Argument(metavar="NAME", help="A detector (sfcore detectors lists them).", autocompletion=_shipped)
]
Detectors = Annotated[
    list[str], typer.Argument(metavar="NAME", help="Detectors (sfcore detectors lists them).", autocompletion=_shipped)
]
Weights = Annotated[str | None, typer.Option(metavar="FILE", help="Its checkpoint, where other than the shipped one.")]
WeightsKey = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Which weights in it, such as ema, where several fit; the message lists them."),
]
Images = Annotated[list[str], typer.Option(metavar="SOURCE", help=f"{SOURCE}; again for more.")]
Limit = Annotated[int | None, typer.Option(metavar="N", help=f"{LIMIT} (default: all).")]
SomeImages = Annotated[int, typer.Option(metavar="N", help=f"{LIMIT}.")]
Bits = Annotated[
    str,
    typer.Option(
        metavar="WxAy",
        help="Such as W4A4, 1 to 16 bits each; W4A4-affine gives activations zero points, W4A4-tensor each weight a "
        "single step size; "
        "W4A4,heads=16 or W4A4,PATTERN=W8A8 gives layers other bits; or a scheme file (.json).",
    ),
]
Transforms = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME...",
        help="What is done before ranges are found, in this order, beside folding batch norms: gamma-migration, "
        "shift-scale; and after: token-clip.",
    ),
]
_CALIBRATORS = "minmax, maxmin-grid, percentile, entropy, entropy-zeros, aciq, omse or moving-average-omse"
WeightCalibrator = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"What finds the ranges of weights, of {_CALIBRATORS} (omse, or the method's own)."
    ),
]
ActivationCalibrator = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="What finds those of activations (moving-average-omse, or the method's own)."),
]
NoBiasCorrection = Annotated[
    bool,
    typer.Option(
        "--no-bias-correction",
        help="Never remove the mean error of each layer's output (default: where predictions are less distorted).",
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda", autocompletion=lambda: ["auto", "cpu", "cuda"])]
Run = Annotated[str, typer.Argument(metavar="RUNDIR", help=RUN)]
Launcher = Annotated[
    str, typer.Option(metavar="NAME", help="What starts it: local, ray or slurm, the latter two on other machines too.")
]
Address = Annotated[
    str | None, typer.Option(metavar="A", help="Of the launcher's machines; of a Ray cluster HOST:PORT ($RAY_ADDRESS).")
]
Cores = Annotated[int, typer.Option(metavar="N", min=1, help="Of a processor, that a cluster gives each run.")]
Workers = Annotated[int, typer.Option(metavar="N", min=1, help="Processes that share the work, here or elsewhere.")]
DetachedBy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="What starts it with --detach: local, ray or slurm (default: as before, or local)."
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="In a process of its own, once earlier ones are done.")]


class Size(NamedTuple):
    """Of images, in pixels."""

    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """A size as ``1640x590``, which has the width in front as people say it.

        Raises:
            typer.BadParameter: the text is no size.
        """
        width, cross, height = text.lower().partition("x")
        if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
            raise typer.BadParameter(f"{text!r} is no size: write WIDTHxHEIGHT, such as 1640x590")
        return cls(int(height), int(width))


def size_option(text: str, **more: Any) -> Any:
    """The option of a :class:`Size`; ``more`` as typer takes it."""
    return typer.Option(metavar="WIDTHxHEIGHT", parser=Size.parse, help=text, **more)
