"""Names and options of the commands; what they do is in the module of the same name."""

from __future__ import annotations

import argparse
from typing import Any

import sfcore

RUN_HELP = "run folder, or the name of a run in the folder of runs"


def build_parser() -> argparse.ArgumentParser:
    """The parser of the ``sfcore`` command; ``module`` in its result says which module carries it out."""
    parser = argparse.ArgumentParser(prog="sfcore", description=sfcore.__doc__)
    parser.add_argument("--version", action="version", version=f"sfcore {sfcore.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _detectors(commands)
    _check_detector(commands)
    _detect(commands)
    _curves(commands)
    _layers(commands)
    _tune(commands)
    _scenes(commands)
    _compare(commands)
    _runs(commands)
    _app(commands)
    return parser


def _command(commands: Any, name: str, text: str, module: str | None = None) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print the result as JSON and nothing else")
    parser.set_defaults(module=f"sfcore.cli.{module or name}")
    return parser


def _images_option(parser: argparse.ArgumentParser, limit: int | None) -> None:
    parser.add_argument(
        "--images",
        action="append",
        required=True,
        metavar="SOURCE",
        help="a folder, part of one ('frames[:140]', 'frames[::4]') or an image; give it again for more sources",
    )
    most = f"at most N images, evenly spread over the sources (default: {limit or 'all'})"
    parser.add_argument("--limit", type=int, default=limit, metavar="N", help=most)


def _detector_options(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    which = "detectors" if nargs else "a detector"
    parser.add_argument("detector", metavar="NAME", nargs=nargs, help=f"{which} (sfcore detectors lists them)")
    parser.add_argument("--weights", metavar="FILE", help="its checkpoint, where other than the shipped weights")


def _device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")


def _detectors(commands: Any) -> None:
    _command(commands, "detectors", "List the detectors and their heads.")


def _check_detector(commands: Any) -> None:
    text = "Check that a detector, your own too, keeps the promises that all commands and pages rely on."
    parser = _command(commands, "check-detector", text, "check_detector")
    _detector_options(parser)
    _device_option(parser)


def _detect(commands: Any) -> None:
    parser = _command(commands, "detect", "Find the lanes of images.")
    _detector_options(parser)
    parser.add_argument("images", nargs="+", metavar="IMAGE_OR_FOLDER", help="an image, a folder, or part of one")
    parser.add_argument("--out", metavar="DIR", help="write lanes.json and a picture of each image here")
    _device_option(parser)


def _curves(commands: Any) -> None:
    parser = _command(commands, "curves", "Measure how much distortion noise on each head causes.")
    _detector_options(parser, nargs="+")
    _images_option(parser, 100)
    parser.add_argument("--levels", type=int, default=8, metavar="N", help="noise levels (default: 8)")
    parser.add_argument("--reruns", type=int, default=20, metavar="N", help="draws of noise per level (default: 20)")
    parser.add_argument("--kind", default="gaussian", help="of noise: gaussian or uniform (default: gaussian)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--out", required=True, metavar="DIR", help="gets curves.csv, curves.json and curves.png")
    _device_option(parser)


def _layers(commands: Any) -> None:
    parser = _command(commands, "layers", "Find the layers whose quantization moves the lanes: each one's alone.")
    _detector_options(parser)
    _images_option(parser, 32)
    parser.add_argument("--bits", required=True, metavar="WxAy", help="of weights and activations, such as W8A8")
    parser.add_argument("--out", metavar="DIR", help="gets layers.csv and layers.png")
    _device_option(parser)


def _tune(commands: Any) -> None:
    parser = _command(commands, "tune", "Quantize a detector and tune it; run again to resume.")
    _detector_options(parser)
    _images_option(parser, None)
    parser.add_argument("--bits", required=True, metavar="WxAy", help="of weights and activations, such as W4A4")
    parser.add_argument("--method", required=True, help="calibrate, netwise, selective-focus, lane-focus, ...")
    parser.add_argument("--k", type=int, metavar="N", help="heads to tune on")
    parser.add_argument("--lam", type=float, metavar="X", help="weight of the confidence term")
    parser.add_argument("--iterations", type=int, metavar="N")
    parser.add_argument("--batch", type=int, metavar="N", help="images per iteration")
    parser.add_argument("--learning-rate", type=float, metavar="X")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--out", required=True, metavar="RUNDIR", help="the run folder")
    parser.add_argument("--detach", action="store_true", help="run in a process of its own and return at once")
    _device_option(parser)


def _compare(commands: Any) -> None:
    parser = _command(commands, "compare", "Compare a run's quantized models with full precision.")
    parser.add_argument("run", metavar="RUNDIR", help=RUN_HELP)
    _images_option(parser, None)
    _device_option(parser)


def _scenes(commands: Any) -> None:
    parser = _command(commands, "scenes", "Render road scenes with exact lane labels.")
    parser.add_argument("--out", required=True, metavar="DIR", help="gets a PNG for each scene and labels.json")
    parser.add_argument("--count", type=int, default=24, metavar="N", help="(default: 24)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first scene; the others follow")
    parser.add_argument("--scenario", help="such as night or curve (default: mixed as in CULane)")


def _runs(commands: Any) -> None:
    parser = commands.add_parser("runs", help="List, show, stop and resume runs.", description="Manage runs.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _command(actions, "list", "List the runs in a folder.", "runs")
    listing.add_argument("--root", metavar="DIR", help="the folder of runs (default: $SFCORE_RUNS or ./runs)")
    for action, text in (
        ("show", "Show a run: what was asked, how far it is, what it gave."),
        ("stop", "Ask a run to stop; it can be resumed."),
        ("resume", "Go on with a stopped run."),
    ):
        one = _command(actions, action, text, "runs")
        one.add_argument("run", metavar="RUNDIR", help=RUN_HELP)
        if action == "resume":
            one.add_argument("--detach", action="store_true", help="in a process of its own; return at once")


def _app(commands: Any) -> None:
    parser = _command(commands, "app", "Open the app in the browser.")
    parser.add_argument("--port", type=int, default=8501, metavar="N", help="(default: 8501)")
