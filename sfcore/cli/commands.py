"""Names and options of the commands; what they do is in the module of the same name, imported when it is called."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Annotated, Any

import typer

import sfcore
from sfcore.cli.console import Answer, show
from sfcore.cli.failures import failures_said
from sfcore.cli.several import taking_several

RUN_HELP = "run folder, or the name of a run in the folder of runs"
IMAGES_HELP = (
    "folder, dataset, video, rendered scenes ('scenes:600'), part of one ('frames[:140]', 'drive.mp4[::10]') or image; "
    "again for more"
)
LIMIT_HELP = "at most N images, evenly spread over the sources"
SIZE_HELP = "WIDTHxHEIGHT"

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Detector = Annotated[str, typer.Argument(metavar="NAME", help="A detector (sfcore detectors lists them).")]
Weights = Annotated[str | None, typer.Option(metavar="FILE", help="Its checkpoint, where other than the shipped one.")]
WeightsKey = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Which weights in it, such as ema, where several fit; the message lists them."),
]
Images = Annotated[list[str], typer.Option(metavar="SOURCE", help=IMAGES_HELP)]
Limit = Annotated[int | None, typer.Option(metavar="N", help=f"{LIMIT_HELP} (default: all).")]
Seed = Annotated[int, typer.Option(metavar="N", help="Of everything random.")]
Run = Annotated[str, typer.Argument(metavar="RUNDIR", help=f"{RUN_HELP}.")]
Detach = Annotated[bool, typer.Option("--detach", help="In a process of its own, once earlier ones are done.")]
Bits = Annotated[
    str,
    typer.Option(
        metavar="WxAy",
        help="Such as W4A4; W4A4-affine gives activations zero points, W4A4-tensor each weight a single step size; "
        "W4A4,heads=16 or W4A4,PATTERN=W8A8 gives layers other bits; or a scheme file (.json).",
    ),
]
CALIBRATORS = "minmax, percentile, entropy, aciq, omse or moving-average-omse"


def _size(text: str) -> tuple[int, int]:
    """(height, width) of ``1640x590``, which has the width in front as people say it."""
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise typer.BadParameter(f"{text!r} is no size: write WIDTHxHEIGHT, such as 1640x590")
    return int(height), int(width)


app = typer.Typer(name="sfcore", help=sfcore.__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
evaluate = typer.Typer(
    no_args_is_help=True,
    help="Score predictions by a benchmark's official metric, or a detector or a run over a whole dataset.",
)
runs = typer.Typer(no_args_is_help=True, help="List, show, stop and resume runs.")
app.add_typer(evaluate, name="evaluate")
app.add_typer(runs, name="runs")


def _carry_out(module: str, given: dict[str, Any]) -> None:
    """Import a command's module, only now so that help does not wait for PyTorch, let it answer, and leave with its
    exit code."""
    arguments = SimpleNamespace(**given)
    with failures_said():
        answer: Answer = importlib.import_module(f"sfcore.cli.{module}").run(arguments)
        show(answer, arguments.json)
        raise typer.Exit(answer.code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"sfcore {sfcore.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def detectors(json: Json = False) -> None:
    """List the detectors and their heads."""
    _carry_out("detectors", locals())


@app.command()
def check_detector(
    detector: Detector, weights: Weights = None, weights_key: WeightsKey = None, device: Device = "auto",
    json: Json = False,
) -> None:  # fmt: skip
    """Check that a detector, your own too, keeps the promises that all commands and pages rely on."""
    _carry_out("check_detector", locals())


@app.command()
def detect(
    detector: Detector,
    images: Annotated[list[str], typer.Argument(metavar="SOURCE", help=IMAGES_HELP.removesuffix("; again for more"))],
    weights: Weights = None,
    weights_key: WeightsKey = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Gets lanes.json and a picture of each image.")] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find the lanes of images, or what else the detector finds."""
    _carry_out("detect", locals())


@app.command()
def curves(
    detector: Annotated[list[str], typer.Argument(metavar="NAME", help="Detectors (sfcore detectors lists them).")],
    images: Images,
    out: Annotated[str, typer.Option(metavar="DIR", help="Gets curves.csv, curves.json and curves.png.")],
    weights: Weights = None,
    weights_key: WeightsKey = None,
    limit: Annotated[int, typer.Option(metavar="N", help=LIMIT_HELP)] = 100,
    levels: Annotated[int, typer.Option(metavar="N", help="Noise levels.")] = 8,
    reruns: Annotated[int, typer.Option(metavar="N", help="Draws of noise per level.")] = 20,
    kind: Annotated[str, typer.Option(help="Of noise: gaussian or uniform.")] = "gaussian",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure how much distortion noise on each head causes."""
    _carry_out("curves", locals())


@app.command()
def layers(
    detector: Detector,
    images: Images,
    bits: Bits,
    weights: Weights = None,
    weights_key: WeightsKey = None,
    limit: Annotated[int, typer.Option(metavar="N", help=LIMIT_HELP)] = 32,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Gets layers.csv and layers.png.")] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find the layers whose quantization moves the lanes, or what else is found: each one's alone."""
    _carry_out("layers", locals())


@app.command(cls=taking_several("--set"))
def tune(
    detector: Detector,
    images: Images,
    bits: Bits,
    method: Annotated[str, typer.Option(help="calibrate, netwise, selective-focus, lane-focus, ...")],
    out: Annotated[str, typer.Option(metavar="RUNDIR", help="The run folder.")],
    weights: Weights = None,
    weights_key: WeightsKey = None,
    limit: Limit = None,
    weight_calibrator: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"What finds the ranges of weights: {CALIBRATORS} (omse).")
    ] = None,
    activation_calibrator: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"What finds those of activations: {CALIBRATORS} (moving-average-omse)."),
    ] = None,
    no_bias_correction: Annotated[
        bool,
        typer.Option(
            "--no-bias-correction",
            help="Never remove the mean error of each layer's output (default: where predictions are less distorted).",
        ),
    ] = False,
    k: Annotated[int | None, typer.Option(metavar="N", help="Heads to tune on.")] = None,
    lam: Annotated[float | None, typer.Option(metavar="X", help="Weight of the confidence term.")] = None,
    iterations: Annotated[int | None, typer.Option(metavar="N", help="Steps of tuning.")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Images per iteration.")] = None,
    learning_rate: Annotated[float | None, typer.Option(metavar="X", help="Of Adam.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="OPTION=VALUE",
            help="Any other options of the method, such as rounding=0.05 selection=exact.",
        ),
    ] = None,
    seed: Seed = 0,
    detach: Detach = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Quantize a detector and tune it; run again to resume."""
    _carry_out("tune", locals())


@app.command()
def scenes(
    out: Annotated[str, typer.Option(metavar="DIR", help="Gets the pictures and their labels.")],
    count: Annotated[int, typer.Option(metavar="N", help="How many.")] = 24,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the first scene; the others follow.")] = 0,
    scenario: Annotated[str | None, typer.Option(help="Such as night or curve (default: mixed as in CULane).")] = None,
    layout: Annotated[str, typer.Option(help="folder, culane or tusimple")] = "folder",
    split: Annotated[str, typer.Option(metavar="NAME", help="Part of the dataset that they are.")] = "test",
    size: Annotated[
        Any,
        typer.Option(metavar=SIZE_HELP, parser=_size, help="In pixels (640x360, culane 1640x922, tusimple 1280x720)."),
    ] = None,
    json: Json = False,
) -> None:
    """Render road scenes with exact lane labels."""
    _carry_out("scenes", locals())


AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Exit with 0 even if files are missing or damaged.")
]
Jobs = Annotated[int, typer.Option(metavar="N", help="Processes to share the work.")]
Predictions = Annotated[str, typer.Option(metavar="DIR", help="The files of predicted lanes.")]
Annotations = Annotated[str, typer.Option(metavar="DIR", help="The labels, under the same names.")]


@evaluate.command("culane")
def _culane(
    list_file: Annotated[
        str,
        typer.Option(
            "--list", metavar="FILE",
            help="The images, one a line; the lists in test_split/ beside it name their scenarios.",
        ),
    ],
    predictions: Predictions,
    annotations: Annotations,
    iou: Annotated[float, typer.Option(metavar="X", help="A lane is found above it.")] = 0.5,
    width: Annotated[int, typer.Option(metavar="N", help="Of drawn lanes in pixels.")] = 30,
    size: Annotated[Any, typer.Option(metavar=SIZE_HELP, parser=_size, help="Of the images.")] = "1640x590",
    jobs: Jobs = 1,
    allow_missing: AllowMissing = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Score a folder of .lines.txt predictions as CULane does."""
    _carry_out("evaluate_files", {"what": "culane", **locals()})


@evaluate.command("curvelanes")
def _curvelanes(
    predictions: Predictions,
    annotations: Annotations,
    list_file: Annotated[
        str | None, typer.Option("--list", metavar="FILE", help="The images, one a line (default: all labelled).")
    ] = None,
    size: Annotated[
        Any,
        typer.Option(
            metavar=SIZE_HELP, parser=_size,
            help="Of the images (default: read from each, beside its label or in ../images).",
        ),
    ] = None,
    jobs: Jobs = 1,
    allow_missing: AllowMissing = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Score a folder of .lines.json predictions as CurveLanes does."""
    _carry_out("evaluate_files", {"what": "curvelanes", **locals()})


@evaluate.command("tusimple")
def _tusimple(
    predictions: Annotated[str, typer.Option(metavar="FILE", help="One JSON object a line.")],
    labels: Annotated[str, typer.Option(metavar="FILE", help="Such as test_label.json.")],
    allow_missing: AllowMissing = False,
    json: Json = False,
) -> None:
    """Score a file of predictions as TuSimple's lane.py does."""
    _carry_out("evaluate_files", {"what": "tusimple", **locals()})


Dataset = Annotated[str, typer.Option(metavar="DIR", help="A folder in one of the known layouts.")]
Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="Part of it (default: the one results are reported on).")
]
Layout = Annotated[str | None, typer.Option(help="The dataset's layout, where it cannot be told from its files.")]
Metric = Annotated[str | None, typer.Option(help="Another metric than the dataset's own.")]
Frames = Annotated[int | None, typer.Option("--limit", metavar="N", help="At most N frames, alike of each scenario.")]
Scored = Annotated[str, typer.Option(metavar="DIR", help="Gets the predictions and scores.json.")]


@evaluate.command("detector")
def _evaluate_detector(
    detector: Detector, dataset: Dataset, out: Scored, weights: Weights = None, weights_key: WeightsKey = None,
    split: Split = None, layout: Layout = None, metric: Metric = None, limit: Frames = None, device: Device = "auto",
    allow_missing: AllowMissing = False, json: Json = False,
) -> None:  # fmt: skip
    """Score a detector on a dataset; run again to go on."""
    _carry_out("evaluate", {"what": "detector", **locals()})


@evaluate.command("run")
def _evaluate_run(
    run: Run, dataset: Dataset, out: Scored, split: Split = None, layout: Layout = None, metric: Metric = None,
    limit: Frames = None, device: Device = "auto", allow_missing: AllowMissing = False, json: Json = False,
) -> None:  # fmt: skip
    """Score a run's full-precision, calibrated and tuned detector."""
    _carry_out("evaluate", {"what": "run", **locals()})


@app.command()
def compare(run: Run, images: Images, limit: Limit = None, device: Device = "auto", json: Json = False) -> None:
    """Compare a run's quantized models with full precision."""
    _carry_out("compare", locals())


@app.command()
def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help=f"{RUN_HELP}.")],
    out: Annotated[str, typer.Option(metavar="FILE", help="The report, such as report.html.")],
    run2: Annotated[
        str | None, typer.Argument(metavar="[RUN2]", help="A second run of the same detector, to compare with.")
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Folder, dataset, video, part of one or image (default: what the first run held back from tuning).",
        ),
    ] = None,
    frames: Annotated[int, typer.Option(metavar="N", help="At most N, evenly spread.")] = 20,
    json: Json = False,
) -> None:
    """Write one HTML file about a run, or comparing two, that opens anywhere without a server or a network."""
    _carry_out("report", locals())


BENCH_SEVERAL = (
    "--detectors", "--methods", "--bits", "--seeds", "--images", "--test", "--weights", "--k", "--set",
)  # fmt: skip


@app.command(cls=taking_several(*BENCH_SEVERAL))
def bench(
    detectors: Annotated[list[str], typer.Option(metavar="NAME...", help="'all' for every one that has weights.")],
    methods: Annotated[
        list[str],
        typer.Option(metavar="NAME...", help="'all' for every one; a row of its own: LABEL=NAME:OPTION=VALUE."),
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="Gets report.md, results.csv, tables and run folders.")],
    bits: Annotated[list[str], typer.Option(metavar="WxAy...", help="Schemes, as of sfcore tune.")] = [  # noqa: B006
        "W8A8", "W8A4", "W4A4",
    ],
    seeds: Annotated[list[int], typer.Option(metavar="N...", help="Of the cells.")] = [0, 1, 2],  # noqa: B006
    images: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE...", help="Calibration images, as of sfcore tune (default: rendered scenes)."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="At most N of them (default: all; 64 rendered scenes).")
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]SOURCE...",
            help="Unseen images, a column of the tables each: a source or a labelled dataset (other rendered scenes).",
        ),
    ] = None,
    test_limit: Annotated[
        int | None, typer.Option(metavar="N", help="At most N of each (default: all; 100 rendered scenes).")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="DETECTOR=FILE[::KEY]...", help="Checkpoints other than the shipped."),
    ] = None,
    k: Annotated[
        list[int] | None,
        typer.Option(metavar="N...", help="Further cells of selective-focus, for the table of k."),
    ] = None,
    iterations: Annotated[int | None, typer.Option(metavar="N", help="Of all methods that have it.")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Of all methods that have it.")] = None,
    learning_rate: Annotated[float | None, typer.Option(metavar="N", help="Of all methods that have it.")] = None,
    lam: Annotated[float | None, typer.Option(metavar="N", help="Of all methods that have it.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="[NAME.]OPTION=VALUE...",
            help="An option of some cells, such as block.iterations=100 or W8A8.netwise.batch=4; later ones win.",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", help="Cells at a time.")] = 1,
    device: Device = "auto",
    json: Json = False,
) -> None:  # fmt: skip
    """Tune many detectors by many methods, judge them on unseen images and write the tables; again to resume."""
    _carry_out("bench", locals())


@runs.command("list")
def _list(
    root: Annotated[
        str | None, typer.Option(metavar="DIR", help="The folder of runs (default: $SFCORE_RUNS or ./runs).")
    ] = None,
    json: Json = False,
) -> None:
    """List the runs in a folder."""
    _carry_out("runs", {"action": "list", **locals()})


@runs.command("show")
def _show(run: Run, json: Json = False) -> None:
    """Show a run: what was asked, how far it is, what it gave."""
    _carry_out("runs", {"action": "show", **locals()})


@runs.command("stop")
def _stop(run: Run, json: Json = False) -> None:
    """Ask a run to stop; it can be resumed."""
    _carry_out("runs", {"action": "stop", **locals()})


@runs.command("resume")
def _resume(run: Run, detach: Detach = False, json: Json = False) -> None:
    """Go on with a stopped run."""
    _carry_out("runs", {"action": "resume", **locals()})


@app.command("app")
def _app(port: Annotated[int, typer.Option(metavar="N", help="Of the page.")] = 8501, json: Json = False) -> None:
    """Open the app in the browser."""
    _carry_out("app", locals())
