"""COCO: one JSON file of images, categories and annotations for each split, and the images in a folder beside.

``annotations/instances_SPLIT.json`` belongs to the images in ``SPLIT/`` or ``images/SPLIT/``; of other exports a JSON
file with the same keys, in ``annotations/`` or in the root, belongs to those in ``images/`` or in the root. A box is
``[left, top, width, height]``; the classes are the names of the categories in the order of the file. Crowds are
neutral: what is found in them is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.datasets.box_predictions import BoxPredictions
from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, Label
from sfcore.datasets.layouts.culane import repeated, slashed
from sfcore.datasets.numbers import items, number, numbers
from sfcore.errors import InputError
from sfcore.files import head_of, parse_json, read_text
from sfcore.names import left_behind

PREFIX = "instances_"
MOST_PROBLEMS = 20  # lines about one file; what is beyond is counted
_KEYS = ('"file_name"', '"image_id"')  # of its images and annotations, whichever come first


@dataclass(frozen=True)
class Annotations:
    """The boxes of a file.

    Attributes:
        box: (N, 4) left, top, right, bottom in pixels.
        label: (N,) place of the class among the names.
        crowd: (N,) bool.
    """

    box: np.ndarray
    label: np.ndarray
    crowd: np.ndarray

    def objects(self, places: Sequence[int], crowd: bool) -> list[np.ndarray]:
        """(6,) of each of some boxes, of the crowds among them or of the others."""
        return [np.array([*self.box[place], self.label[place], 1.0]) for place in places if self.crowd[place] == crowd]


@LAYOUTS.register("coco")
@dataclass
class COCO(Dataset):
    """A folder of images with their boxes in a COCO file."""

    metric = "coco"
    task = "boxes2d"

    annotations: Annotations = field(default_factory=lambda: _annotations([]), repr=False)
    places: dict[str, list[int]] = field(default_factory=dict, repr=False)  # of each frame's annotations
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)  # (height, width) that the file says
    image_ids: dict[str, int] = field(default_factory=dict, repr=False)
    category_ids: tuple[int, ...] = field(default=(), repr=False)

    @staticmethod
    def fits(root: Path) -> bool:
        return bool(_files(root))

    @classmethod
    def splits(cls, root: Path) -> tuple[str, ...]:
        """Those that results are reported on first: val, test, then the others by name."""
        names = [_split(file) for file in _files(root)]
        usual = [name for start in ("val", "test") for name in names if name.startswith(start)]
        return tuple(dict.fromkeys([*usual, *names]))

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> COCO:
        splits = cls.splits(root)
        if not splits:
            raise InputError(
                f"{root} holds no COCO file: it must hold annotations/{PREFIX}….json, or one beside images"
            )
        split = split or splits[0]
        if split not in splits:
            raise InputError(f"{root} has no split {split!r}: choose one of {', '.join(splits)}")
        path = next(file for file in _files(root) if _split(file) == split)
        try:
            return _opened(cls, root, split, path, parse_json(read_text(path)))
        except (ValueError, KeyError, TypeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else error
            raise InputError(f"{path} is no COCO file ({reason}): copy or export it again") from error

    def label(self, frame: Frame) -> Label:
        said = self.sizes.get(frame.name)
        if said and said != (found := self.size(frame)):
            raise InputError(
                f"{frame.image} has {found[1]} × {found[0]} px, but its boxes are in {said[1]} × {said[0]} px: use the "
                "images that the labels are of"
            )
        places = self.places.get(frame.name, [])
        objects, crowds = (self.annotations.objects(places, crowd) for crowd in (False, True))
        return Label(objects, neutral=crowds)

    def predictions(self, path: Path) -> BoxPredictions:
        return BoxPredictions(path, self.image_ids, self.category_ids)


def _files(root: Path) -> list[Path]:
    """The files that hold splits, sorted: COCO's own names, where there are any."""
    own = sorted((root / "annotations").glob(f"{PREFIX}*.json"))
    others = (sorted(folder.glob("*.json")) for folder in (root / "annotations", root))
    groups = [own, *([file for file in each if _is_coco(file)] for each in others)]
    return next((found for each in groups if (found := [file for file in each if not left_behind(file.name)])), [])


def _is_coco(file: Path) -> bool:
    if left_behind(file.name) or not file.is_file():
        return False
    head = head_of(file).lstrip()
    return head[:1] == "{" and any(key in head for key in _KEYS)


def _split(file: Path) -> str:
    return file.stem.removeprefix(PREFIX)


def _opened(cls: type[COCO], root: Path, split: str, path: Path, content: dict[str, Any]) -> COCO:
    """The dataset of a file's content; raises ValueError, KeyError or TypeError where that is none."""
    categories = [(_whole(each["id"]), _text(each["name"])) for each in items(content["categories"])]
    images = [(_whole(each["id"]), _text(each["file_name"]), _size(each)) for each in items(content["images"])]
    names = [slashed(name, root) for _, name, _ in images]
    folder = _folder(root, split, names)
    ids = {identity: name for (identity, _, _), name in zip(images, names, strict=True)}
    if len(ids) < len(images) or len(dict(categories)) < len(categories):
        raise ValueError("two images or categories have the same id")
    outside = [name for name in names if ".." in Path(name).parts or Path(name).is_absolute()]
    if outside:
        raise ValueError(f"{outside[0]} lies outside of the folder")
    label_of = {identity: place for place, (identity, _) in enumerate(categories)}
    boxes, places, wrong = _boxes(path, items(content["annotations"]), ids, label_of)
    frames = [Frame(name, folder / name) for name in dict.fromkeys(names)]
    there, gone = list[Frame](), list[str]()
    for frame in frames:
        if frame.image.is_file():
            there.append(frame)
        else:
            gone.append(f"{frame.image} is missing, but {path} names it: copy it there")
    if frames and not there:
        raise InputError(f"none of the {len(frames)} images of {path} is in {folder}: extract them there")
    problems = [*repeated(path, names), *_few(gone, path), *_few(wrong, path)]
    found = cls(root, split, there, problems, _annotations(boxes), places)
    found.names, found.category_ids = tuple(name for _, name in categories), tuple(label_of)
    found.image_ids = {name: identity for identity, name in ids.items()}
    found.sizes = {name: size for name, (_, _, size) in zip(names, images, strict=True) if size}
    return found


def _boxes(
    path: Path, entries: Iterable[Any], images: dict[int, str], labels: dict[int, int]
) -> tuple[list[tuple[float, ...]], dict[str, list[int]], list[str]]:
    """Boxes as left, top, right, bottom, label, crowd, their places by image, and what is wrong with others."""
    boxes: list[tuple[float, ...]] = []
    places: dict[str, list[int]] = {}
    wrong: list[str] = []
    for turn, entry in enumerate(entries):
        try:
            name, box = images[_whole(entry["image_id"])], _box(entry, labels)
        except (ValueError, KeyError, TypeError) as error:
            reason = f"there is no {error}" if isinstance(error, KeyError) else error
            wrong.append(f"annotation {turn} of {path} is left out ({reason}): mend or remove it")
            continue
        places.setdefault(name, []).append(len(boxes))
        boxes.append(box)
    return boxes, places, wrong


def _box(entry: dict[str, Any], labels: dict[int, int]) -> tuple[float, ...]:
    left, top, width, height = numbers(entry["bbox"]).tolist()
    if width <= 0 or height <= 0:
        raise ValueError(f"its box is {width:g} × {height:g} px")
    return (
        left,
        top,
        left + width,
        top + height,
        labels[_whole(entry["category_id"])],
        number(entry.get("iscrowd") or 0),
    )


def _annotations(boxes: list[tuple[float, ...]]) -> Annotations:
    rows = np.array(boxes, np.float64).reshape(-1, 6)
    return Annotations(rows[:, :4], rows[:, 4].astype(int), rows[:, 5] != 0)


def _folder(root: Path, split: str, names: Sequence[str]) -> Path:
    """Where the images lie: the first usual folder that holds one of the first few."""
    usual = [root / split, root / "images" / split, root / "images", root]
    held = (folder for folder in usual if any((folder / name).is_file() for name in names[:100]))
    return next(held, next(folder for folder in usual if folder.is_dir()))


def _few(lines: list[str], path: Path) -> list[str]:
    more = len(lines) - MOST_PROBLEMS
    return lines[:MOST_PROBLEMS] + ([f"{path} has {more} more such problems"] if more > 0 else [])


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    """(height, width), where the file says so."""
    return (_whole(image["height"]), _whole(image["width"])) if image.get("height") and image.get("width") else None


def _whole(value: Any) -> int:
    found = number(value)
    if found != int(found):
        raise ValueError(f"{value!r} is no whole number")
    return int(found)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no name")
    return value
