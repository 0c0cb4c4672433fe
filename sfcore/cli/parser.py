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
    _evaluate(commands)
    _compare(commands)
    _report(commands)
    _bench(commands)
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
        help="folder, dataset, video, part of one ('frames[:140]', 'drive.mp4[::10]') or image; again for more",
    )
    most = f"at most N images, evenly spread over the sources (default: {limit or 'all'})"
    parser.add_argument("--limit", type=int, default=limit, metavar="N", help=most)


def _detector_options(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    which = "detectors" if nargs else "a detector"
    parser.add_argument("detector", metavar="NAME", nargs=nargs, help=f"{which} (sfcore detectors lists them)")
    parser.add_argument("--weights", metavar="FILE", help="its checkpoint, where other than the shipped weights")
    which = "which weights in it, such as ema, where several fit; the message lists them"
    parser.add_argument("--weights-key", metavar="KEY", help=which)


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
    parser.add_argument("images", nargs="+", metavar="SOURCE", help="image, folder, dataset, video, or part of one")
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
    bits = "such as W4A4; W4A4-affine gives activations zero points, W4A4-tensor each weight a single step size"
    parser.add_argument("--bits", required=True, metavar="WxAy", help=bits)
    parser.add_argument("--method", required=True, help="calibrate, netwise, selective-focus, lane-focus, ...")
    which = "minmax, percentile, entropy, aciq, omse or moving-average-omse"
    for what, default in (("weight", "omse"), ("activation", "moving-average-omse")):
        text = f"what finds the ranges of {what}s: {which} (default: {default})"
        parser.add_argument(f"--{what}-calibrator", metavar="NAME", help=text)
    mean = "never remove the mean error of each layer's output (default: where lanes are less distorted for it)"
    parser.add_argument("--no-bias-correction", action="store_true", help=mean)
    parser.add_argument("--k", type=int, metavar="N", help="heads to tune on")
    parser.add_argument("--lam", type=float, metavar="X", help="weight of the confidence term")
    parser.add_argument("--iterations", type=int, metavar="N")
    parser.add_argument("--batch", type=int, metavar="N", help="images per iteration")
    parser.add_argument("--learning-rate", type=float, metavar="X")
    setting = "any other option of the method, such as rounding=0.05 or selection=exact"
    parser.add_argument("--set", nargs="+", metavar="OPTION=VALUE", help=setting)
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--out", required=True, metavar="RUNDIR", help="the run folder")
    parser.add_argument("--detach", action="store_true", help="in a process of its own, once earlier ones are done")
    _device_option(parser)


def _compare(commands: Any) -> None:
    parser = _command(commands, "compare", "Compare a run's quantized models with full precision.")
    parser.add_argument("run", metavar="RUNDIR", help=RUN_HELP)
    _images_option(parser, None)
    _device_option(parser)


def _report(commands: Any) -> None:
    text = "Write one HTML file about a run, or comparing two, that opens anywhere without a server or a network."
    parser = _command(commands, "report", text)
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("run2", metavar="RUN2", nargs="?", help="a second run of the same detector, to compare with")
    parser.add_argument("--out", required=True, metavar="FILE", help="the report, such as report.html")
    source = "folder, dataset, video, part of one or image (default: what the first run held back from tuning)"
    parser.add_argument("--images", metavar="SOURCE", help=source)
    parser.add_argument("--frames", type=int, default=20, metavar="N", help="at most N, evenly spread (default: 20)")


def _bench(commands: Any) -> None:
    text = "Tune many detectors by many methods, judge them on unseen images and write the tables; again to resume."
    parser = _command(commands, "bench", text)
    every = "give 'all' for every one"
    several: dict[str, Any] = {"nargs": "+", "action": "extend", "metavar": "NAME"}
    parser.add_argument("--detectors", required=True, **several, help=f"{every} that has weights")
    parser.add_argument(
        "--methods", required=True, **several, help=f"{every}; a row of its own: LABEL=NAME:OPTION=VALUE"
    )
    parser.add_argument("--bits", nargs="+", default=["W8A8", "W8A4", "W4A4"], metavar="WxAy", help="(W8A8 W8A4 W4A4)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N", help="(default: 0 1 2)")
    images = "calibration images, as of sfcore tune (default: rendered scenes)"
    parser.add_argument("--images", **several | {"metavar": "SOURCE"}, help=images)
    parser.add_argument("--limit", type=int, metavar="N", help="at most N of them (default: all; 64 rendered scenes)")
    test = "unseen images, a column of the tables each: a source or a labelled dataset (default: other rendered scenes)"
    parser.add_argument("--test", **several | {"metavar": "[NAME=]SOURCE"}, help=test)
    parser.add_argument(
        "--test-limit", type=int, metavar="N", help="at most N of each (default: all; 100 rendered scenes)"
    )
    parser.add_argument(
        "--weights", **several | {"metavar": "DETECTOR=FILE[::KEY]"}, help="checkpoints other than the shipped"
    )
    parser.add_argument(
        "--k", nargs="+", type=int, metavar="N", help="further cells of selective-focus, for the table of k"
    )
    for option, kind in (("iterations", int), ("batch", int), ("learning-rate", float), ("lam", float)):
        parser.add_argument(f"--{option}", type=kind, metavar="N", help="of all methods that have it")
    some = "an option of some cells, such as block.iterations=100 or W8A8.netwise.batch=4; later ones win"
    parser.add_argument("--set", **several | {"metavar": "[NAME.]OPTION=VALUE"}, help=some)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cells at a time (default: 1)")
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="gets report.md, results.csv, tables and run folders"
    )
    _device_option(parser)


def _scenes(commands: Any) -> None:
    parser = _command(commands, "scenes", "Render road scenes with exact lane labels.")
    parser.add_argument("--out", required=True, metavar="DIR", help="gets the pictures and their labels")
    parser.add_argument("--count", type=int, default=24, metavar="N", help="(default: 24)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first scene; the others follow")
    parser.add_argument("--scenario", help="such as night or curve (default: mixed as in CULane)")
    parser.add_argument("--layout", default="folder", help="folder, culane or tusimple (default: folder)")
    parser.add_argument("--split", default="test", metavar="NAME", help="part of the dataset that they are (test)")
    size = "in pixels (default: 640x360, culane 1640x922, tusimple 1280x720)"
    parser.add_argument("--size", type=size_of_image, metavar="WIDTHxHEIGHT", help=size)


def _evaluate(commands: Any) -> None:
    text = "Score predictions by a benchmark's official metric, or a detector or a run over a whole dataset."
    parser = commands.add_parser("evaluate", help=text, description=text)
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for parser in (*_evaluate_files(what), *_evaluate_models(what)):
        allow = "exit with 0 even if files are missing or damaged"
        parser.add_argument("--allow-missing", action="store_true", help=allow)


def _evaluate_files(what: Any) -> tuple[argparse.ArgumentParser, ...]:
    culane = _command(what, "culane", "Score a folder of .lines.txt predictions as CULane does.", "evaluate_files")
    lists = "the images, one a line; the lists in test_split/ beside it name their scenarios"
    culane.add_argument("--list", required=True, metavar="FILE", help=lists)
    culane.add_argument("--iou", type=float, default=0.5, metavar="X", help="a lane is found above it (default: 0.5)")
    culane.add_argument("--width", type=int, default=30, metavar="N", help="of drawn lanes in pixels (default: 30)")
    size = "of the images (default: 1640x590)"
    culane.add_argument("--size", type=size_of_image, default=(590, 1640), metavar="WIDTHxHEIGHT", help=size)
    curve = _command(
        what, "curvelanes", "Score a folder of .lines.json predictions as CurveLanes does.", "evaluate_files"
    )
    curve.add_argument("--list", metavar="FILE", help="the images, one a line (default: all that are labelled)")
    size = "of the images (default: read from each, beside its label or in ../images)"
    curve.add_argument("--size", type=size_of_image, metavar="WIDTHxHEIGHT", help=size)
    for parser in (culane, curve):
        parser.add_argument("--predictions", required=True, metavar="DIR", help="the files of predicted lanes")
        parser.add_argument("--annotations", required=True, metavar="DIR", help="the labels, under the same names")
        parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes to share the work (default: 1)")
    tusimple = _command(what, "tusimple", "Score a file of predictions as TuSimple's lane.py does.", "evaluate_files")
    tusimple.add_argument("--predictions", required=True, metavar="FILE", help="one JSON object a line")
    tusimple.add_argument("--labels", required=True, metavar="FILE", help="such as test_label.json")
    return culane, curve, tusimple


def _evaluate_models(what: Any) -> tuple[argparse.ArgumentParser, ...]:
    detector = _command(what, "detector", "Score a detector on a dataset; run again to go on.", "evaluate")
    _detector_options(detector)
    run = _command(what, "run", "Score a run's full-precision, calibrated and tuned detector.", "evaluate")
    run.add_argument("run", metavar="RUNDIR", help=RUN_HELP)
    for parser in (detector, run):
        parser.add_argument("--dataset", required=True, metavar="DIR", help="a folder in one of the known layouts")
        parser.add_argument("--split", metavar="NAME", help="part of it (default: the one results are reported on)")
        parser.add_argument("--layout", help="the dataset's layout, where it cannot be told from its files")
        parser.add_argument("--metric", help="another metric than the dataset's own")
        parser.add_argument("--limit", type=int, metavar="N", help="at most N frames, an equal share of each scenario")
        parser.add_argument("--out", required=True, metavar="DIR", help="gets the predictions and scores.json")
        _device_option(parser)
    return detector, run


def size_of_image(text: str) -> tuple[int, int]:
    """(height, width) of ``1640x590``, which has the width in front as people say it."""
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write WIDTHxHEIGHT, such as 1640x590")
    return int(height), int(width)


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
            one.add_argument(
                "--detach", action="store_true", help="in a process of its own, once earlier ones are done"
            )


def _app(commands: Any) -> None:
    parser = _command(commands, "app", "Open the app in the browser.")
    parser.add_argument("--port", type=int, default=8501, metavar="N", help="(default: 8501)")
