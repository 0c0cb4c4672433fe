"""KITTI's object benchmark: sweeps in ``velodyne/``, and of each its ``label_2/`` and ``calib/`` by the same number.

Cars, vans, trucks and trams are vehicles, sitting persons pedestrians; ``DontCare`` and ``Misc`` are left out. Only
what the left colour camera saw is labelled, so boxes out of its sight are not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, Label, Predictions
from sfcore.datasets.images import image_size, read_image
from sfcore.datasets.kitti import Calibration, Labelled, read_calibration, read_objects
from sfcore.datasets.kitti.camera import draw_on_camera
from sfcore.datasets.kitti.objects import NAMES, without_size, written
from sfcore.datasets.layouts.culane import read_list, repeated
from sfcore.datasets.layouts.folder import refuse_split
from sfcore.datasets.sweep_label import SweepLabel
from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.files import explained, write_atomic

PARTS = ("training", "testing")
ALL = "all"  # of a folder that is not divided into parts, beside its lists
LISTS = ("ImageSets", "splits")  # folders of lists, one number a line
IMAGE_SIZE = (375, 1242)  # of most of KITTI's images, where the frame's own is not there
TALLEST, HIDDEN, CUT = (40, 25, 25), (0, 1, 2), (0.15, 0.3, 0.5)  # of easy, moderate, hard; of the official evaluation
OWN = ("Car", "Pedestrian", "Cyclist")  # kinds that it wants found; others of the same class need not be
LEVELS = ("easy", "moderate", "hard")
NEVER = len(LEVELS)


def levels_of(found: Labelled) -> np.ndarray:
    """(N,) see :class:`~sfcore.datasets.sweep_label.SweepLabel`."""
    levels = np.full(len(found.kinds), NEVER)
    own = np.array([kind in OWN for kind in found.kinds], bool)
    for level in reversed(range(NEVER)):
        seen = (found.heights > TALLEST[level]) & (found.occluded <= HIDDEN[level]) & (found.truncated <= CUT[level])
        levels[own & seen] = level
    return levels


class KittiPredictions(Predictions):
    """A folder of files in the label's format with a score at the end of each line, as the official tool reads them.

    Args:
        folder: made when the first frame is written.
        dataset: knows the frames and their calibrations.
    """

    def __init__(self, folder: Path, dataset: Kitti) -> None:
        self._folder, self._dataset = folder, dataset

    def done(self) -> set[str]:
        return {frame.name for frame in self._dataset.frames if self._file(frame).is_file()}

    def write(self, frame: Frame, objects: Sequence[np.ndarray], label: Label | None, milliseconds: float) -> None:
        with explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        size = self._dataset.size(frame)
        text = written(np.array(objects).reshape(-1, 9), self._dataset.calibration(frame), size)
        write_atomic(self._file(frame), text.encode())

    def read(self, frame: Frame) -> list[np.ndarray]:
        return _rows(read_objects(self._file(frame), self._dataset.calibration(frame)))

    def _file(self, frame: Frame) -> Path:
        return self._folder / f"{frame.image.stem}.txt"


@LAYOUTS.register("kitti")
@dataclass
class Kitti(Dataset):
    """A folder with ``velodyne/``, or with such folders for ``training`` and ``testing``.

    The splits are the lists of ``ImageSets/`` (``val`` before the others) and the folders as a whole.
    """

    metric = "kitti"
    task = "boxes3d"

    @staticmethod
    def fits(root: Path) -> bool:
        return bool(_parts(root))

    @classmethod
    def splits(cls, root: Path) -> tuple[str, ...]:
        lists, parts = sorted(_lists(root), key=lambda name: name != "val"), _parts(root)
        whole = [part for part in PARTS if part in parts] or ([ALL] if lists else [])
        return (*lists, *whole)

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> Kitti:
        splits, parts = cls.splits(root), _parts(root)
        if not splits:
            refuse_split(root, split)
        if not parts:
            raise InputError(f"{root} holds no sweeps of KITTI: velodyne/, label_2/ and calib/ must be in it")
        split = split or (splits[0] if splits else "")
        if splits and split not in splits:
            raise InputError(f"{root} has no split {split!r}: choose one of {', '.join(splits)}")
        part = parts.get(split) or parts["testing" if split == "test" and "testing" in parts else next(iter(parts))]
        problems: list[str] = []
        found = _sweeps(part / "velodyne")
        if split in _lists(root):
            found, problems = _listed(_lists(root)[split], found)
        frames = [Frame(name, sweep) for name, sweep in found.items()]
        problems += [problem for frame in frames for problem in without_size(_beside(frame, "label_2", ".txt"))]
        return cls(root, split, frames, problems, names=NAMES)

    def label(self, frame: Frame) -> SweepLabel | None:
        """The boxes of a sweep; None in a folder without labels, such as ``testing``."""
        file = _beside(frame, "label_2", ".txt")
        if not file.parent.is_dir():
            return None
        camera = self.calibration(frame)
        found = read_objects(file, camera)
        return SweepLabel(_rows(found), names=NAMES, levels=levels_of(found), camera=camera)

    def calibration(self, frame: Frame) -> Calibration:
        """Raises InputError: it is missing or damaged."""
        return read_calibration(_beside(frame, "calib", ".txt"))

    def size(self, frame: Frame) -> tuple[int, int]:
        """(height, width) of the left colour image, that of most where it is not there."""
        image = self.camera_image(frame)
        return image_size(image) if image else IMAGE_SIZE

    def camera_image(self, frame: Frame) -> Path | None:
        """The left colour image of a frame; None where it is not there."""
        found = (_beside(frame, "image_2", suffix) for suffix in (".png", ".jpg"))
        return next((image for image in found if image.is_file()), None)

    def beside(self, frame: Frame, objects: Sequence[np.ndarray]) -> Image | None:
        """The left colour image with the boxes on it, where it is there."""
        image = self.camera_image(frame)
        boxes = np.array(objects, np.float64).reshape(-1, 9)[:, :7]
        return draw_on_camera(read_image(image), boxes, self.calibration(frame)) if image else None

    def predictions(self, path: Path) -> KittiPredictions:
        return KittiPredictions(path, self)


def _parts(root: Path) -> dict[str, Path]:
    """The folders that hold sweeps with calibrations, by their name; a root that is one itself is ``all``."""
    folders = {part: root / part for part in PARTS} | {ALL: root}
    return {n: f for n, f in folders.items() if (f / "velodyne").is_dir() and any((f / "calib").glob("*.txt"))}


def _lists(root: Path) -> dict[str, Path]:
    return {file.stem: file for folder in LISTS for file in sorted((root / folder).glob("*.txt"))}


def _sweeps(folder: Path) -> dict[str, Path]:
    return {file.stem: file for file in sorted(folder.glob("*.bin")) if not file.name.startswith(".")}


def _listed(file: Path, sweeps: dict[str, Path]) -> tuple[dict[str, Path], list[str]]:
    """The sweeps that a list names, and what is wrong with it."""
    names = read_list(file, file.parent)
    problems = repeated(file, names)
    problems += [f"{file} names {name}, of which there is no sweep" for name in names if name not in sweeps]
    return {name: sweeps[name] for name in names if name in sweeps}, problems


def _beside(frame: Frame, folder: str, suffix: str) -> Path:
    return frame.image.parent.parent / folder / f"{frame.image.stem}{suffix}"


def _rows(found: Labelled) -> list[np.ndarray]:
    """The objects as :class:`Label` has them: (9,) a box, its class in ``NAMES``, its score."""
    return list(np.concatenate([found.boxes, found.labels[:, None], found.scores[:, None]], 1))
