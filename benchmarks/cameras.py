"""Which images calibration and tuning want: ``python -m benchmarks.cameras NAME --weights FILE --cameras FOLDER ...``.

As many frames each of one clip, of two, of many cameras, of these and rendered scenes, and distilled ones; calibrated
only (``--steps 0``) or tuned with ``best``; all judged on cameras of none of them, by agreement with full precision. A
camera is what a file is called without the number at its end. Some of ``--cameras`` are judged on, some others choose
the state that tuning keeps (``--held apart``), the rest is calibrated and tuned on. ``--numbers`` draws frames of so
many of these cameras (0: of all). Prints Markdown; ``--out`` keeps the rows, and what is there is not measured again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.camera_draw import Cameras, apart, by_camera, camera_of, deal, draw
from benchmarks.camera_tables import save_picture, tables
from benchmarks.rows import Row, Rows
from sfcore.datasets.images import evenly, find_images
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.distil.images import with_distilled
from sfcore.errors import InputError
from sfcore.memory import keep_freed_memory
from sfcore.quant import Scheme, quantize
from sfcore.quant.inference import run
from sfcore.quant.methods.options import value_of
from sfcore.quant.methods.recipe import configured
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.tasks.base import Prediction
from sfcore.tasks.likeness import likeness

BATCH = 8
JUDGED, DECIDING = 16, 8  # cameras that are kept apart, to judge on and to choose the state by
EACH = 3  # frames of each of these at most
SPLIT = 0  # the seed that cameras are kept apart by: the same for all materials
HELD = ("own", "apart")


@dataclass(frozen=True)
class Stock:
    """What frames can be drawn from.

    Attributes:
        clips: frames of consecutive ones, of one camera each.
        cameras: to calibrate and tune on.
        deciding: frames of other cameras, which choose the state that tuning keeps.
        judged: frames of yet others.
        distilled: steps of images that are distilled.
    """

    clips: tuple[tuple[Path, ...], ...]
    cameras: Cameras
    deciding: tuple[Path, ...]
    judged: tuple[Path, ...]
    distilled: int

    @classmethod
    def of(cls, args: argparse.Namespace) -> Stock:
        """What was given. Raises InputError: a camera is both judged on and calibrated on."""
        judged, rest = apart(by_camera(find_images([args.cameras]), args.without), JUDGED, SPLIT)
        deciding, rest = apart(rest, DECIDING, SPLIT)
        clips = tuple(tuple(find_images([clip])) for clip in args.clips)
        seen = {*rest, *deciding, *(camera_of(frame) for clip in clips for frame in clip)}
        further = find_images(args.test)
        if both := seen & {camera_of(frame) for frame in further}:
            raise InputError(f"{', '.join(sorted(both))}: judged on and calibrated on: leave it out of one of them")
        return cls(clips, rest, _each(deciding), (*further, *_each(judged)), args.distil_steps)

    @cached_property
    def drawable(self) -> Cameras:
        """All cameras that are calibrated on, those of the clips with them."""
        return {**self.cameras, **by_camera(frame for clip in self.clips for frame in clip)}


def _each(cameras: Cameras) -> tuple[Path, ...]:
    return tuple(frame for frames in cameras.values() for frame in evenly(frames, min(EACH, len(frames))))


def _one_clip(stock: Stock, count: int, seed: int) -> list[Path]:
    return deal({"": stock.clips[seed % len(stock.clips)]}, count, seed)


def _two_clips(stock: Stock, count: int, seed: int) -> list[Path]:
    return deal({str(place): clip for place, clip in enumerate(stock.clips[:2])}, count, seed)


def _cameras(stock: Stock, count: int, seed: int) -> list[Path]:
    return deal(stock.cameras, count, seed)


def _with_scenes(stock: Stock, count: int, seed: int) -> list[Path]:
    return [*_cameras(stock, count - count // 2, seed), *find_images([f"scenes:{count // 2},seed={seed}"])]


def _distilled(stock: Stock, count: int, seed: int) -> list[Path]:
    return find_images([f"distilled:{count},steps={stock.distilled},seed={seed}"])


MATERIALS: dict[str, Callable[[Stock, int, int], list[Path]]] = {
    "one clip": _one_clip, "two clips": _two_clips, "cameras": _cameras, "cameras + scenes": _with_scenes,
    "distilled": _distilled,
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One thing that is measured.

    Attributes:
        material: of MATERIALS.
        frames: of it, those that are held back with them.
        number: of cameras that they are drawn of; None where the material decides.
        bits: a scheme.
        seed: of frames and of tuning.
        steps: of tuning; 0 for calibration alone.
        held: by which frames the state to keep is chosen: the last eighth of the material, or those of cameras apart.
        options: of the method, where they are not its own, as OPTION=VALUE with spaces between.
        corrected: whether biases are corrected after calibration, as runs do.
    """

    material: str
    frames: int
    number: int | None
    bits: str
    seed: int
    steps: int
    held: str
    options: str
    corrected: bool

    def drawn(self, stock: Stock) -> list[Path]:
        """Its frames. Raises InputError: there are not so many."""
        if self.number:
            return draw(stock.drawable, self.frames, self.number, self.seed)
        return MATERIALS[self.material](stock, self.frames, self.seed)


@dataclass(frozen=True, eq=False)
class Study:
    """A detector and what it is judged on."""

    name: str
    detector: Detector
    stock: Stock

    def row(self, cell: Cell) -> Row:
        """Measure a cell. Raises InputError: there are not so many frames."""
        files = with_distilled(self.detector, cell.drawn(self.stock))
        frames, begun = self.stacked(files), time.monotonic()
        likely = likeness(self.detector.task, self.detector.decode(run(self.detector, frames)))
        own = len(frames) // 8 if cell.steps else 0
        used, held = frames[: len(frames) - own], frames[len(frames) - own :]
        batches = [self.detector.preprocessing.normalize(part) for part in used.split(BATCH)]
        model = quantize(self.detector, Scheme.parse(cell.bits), batches, bias_correction=cell.corrected)
        about = {"detector": self.name, **asdict(cell), "cameras": len({camera_of(file) for file in files})}
        about |= {"likeness": likely, **self.judged(model)}
        if cell.steps:
            held = held if cell.held == "own" else self.stacked(self.stock.deciding)
            about["calibrated"] = about["f1"]
            about |= self.tuned(Tuner(self.detector, model, used, held, recipe_of(cell), seed=cell.seed))
        return about | {"seconds": time.monotonic() - begun}

    def tuned(self, tuner: Tuner) -> Row:
        """Tune to the end; what the kept state and the last one are worth, and how the held-back frames fared."""
        checks: list[tuple[int, float]] = []
        while not tuner.done:
            event = tuner.step()
            if "held_back" in event:
                checks.append((tuner.iteration, event["held_back"]))
                print(f"  step {tuner.iteration}: {event['held_back']:.2f}", file=sys.stderr, flush=True)
        last = self.judged(tuner.quantized)
        tuner.keep_best()
        kept = self.judged(tuner.quantized)
        return kept | {"last": last["f1"], "held_back": [(0, tuner.calibrated), *checks]}

    def judged(self, model: Detector) -> Row:
        """Agreement with full precision on all frames to judge on, and on those of each folder."""
        found, task = model.decode(run(model, self._pixels)), self.detector.task
        agreed, groups = task.agreement(self._reference, found), [file.parent.name for file in self.stock.judged]
        parts = {}
        for group in dict.fromkeys(groups):
            places = [place for place, of in enumerate(groups) if of == group]
            parts[group] = task.agreement(self._reference[places], found[places]).f1
        return {"f1": agreed.f1, "distortion": agreed.distortion, "judged": len(groups), "by_folder": parts}

    def stacked(self, files: Sequence[Path]) -> Tensor:
        """(N, ...) frames."""
        spec = self.detector.preprocessing
        return torch.cat([spec.stack([spec.read(file)]) for file in files])

    @cached_property
    def _pixels(self) -> Tensor:
        return self.stacked(self.stock.judged)

    @cached_property
    def _reference(self) -> Prediction:
        return self.detector.decode(run(self.detector, self._pixels))


def recipe_of(cell: Cell) -> Any:
    """The method ``best``, without the rendered scenes that it would add: the material is all that it sees."""
    chosen = {name: value_of(value) for name, _, value in (word.partition("=") for word in cell.options.split())}
    return configured("best", {"iterations": cell.steps, "rendered": 0} | chosen)


def cells(args: argparse.Namespace) -> Iterator[Cell]:
    """What was asked for, seed after seed, so that one that is broken off has whole ones."""
    chosen = [("cameras", number or None) for number in args.numbers] or [(name, None) for name in args.materials]
    for seed, bits, steps, frames, (material, number) in product(
        args.seeds, args.bits, args.steps, args.frames, chosen
    ):
        held, options = (args.held, " ".join(args.set)) if steps else ("own", "")
        yield Cell(material, frames, number, bits, seed, steps, held, options, not args.uncorrected)


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--weights", help="a checkpoint")
    parser.add_argument("--cameras", required=True, metavar="FOLDER", help="frames of many cameras")
    parser.add_argument("--clips", nargs="+", required=True, help="at least two sources, of one camera each")
    parser.add_argument("--test", nargs="+", required=True, help="sources of further cameras, to judge on")
    parser.add_argument("--without", nargs="*", default=[], help="beginnings of names of cameras that are left out")
    parser.add_argument("--materials", nargs="+", choices=MATERIALS, default=[*MATERIALS])
    parser.add_argument("--numbers", nargs="*", type=int, default=[], help="of cameras, instead of materials; 0: all")
    parser.add_argument("--frames", nargs="+", type=int, default=[32])
    parser.add_argument("--bits", nargs="+", default=["W8A8", "W8A4", "W4A4"])
    parser.add_argument("--steps", nargs="+", type=int, default=[0])
    parser.add_argument("--held", choices=HELD, default="own", help="frames that choose the state to keep")
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", help="of the method")
    parser.add_argument("--uncorrected", action="store_true", help="leave biases as they are after calibration")
    parser.add_argument("--distil-steps", type=int, default=40)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    parser.add_argument("--picture", type=Path, help="draws F1 against frames, by number of cameras")
    args = parser.parse_args()
    keep_freed_memory()
    rows, detector = Rows(args.out), create(args.name, args.weights).requires_grad_(False)
    study = Study(args.name, detector, Stock.of(args))
    for cell in cells(args):
        about = {"detector": args.name, **asdict(cell)}
        if any(about == {key: row[key] for key in about} for row in rows):
            continue
        try:
            rows.add(study.row(cell))
        except InputError as error:
            print(f"not measured: {error}", file=sys.stderr)
    print(tables(rows))
    if args.picture:
        save_picture(args.picture, rows)


if __name__ == "__main__":
    main()
