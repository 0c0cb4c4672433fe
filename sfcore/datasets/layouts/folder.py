"""A plain folder of images, without labels: what a folder is when it has no other layout."""

from __future__ import annotations

from pathlib import Path

from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame
from sfcore.datasets.images import find_images, image_files
from sfcore.datasets.layouts.culane import CULanePredictions
from sfcore.errors import InputError


@LAYOUTS.register("folder")
class Folder(Dataset):
    """The images that lie in a folder, by file name; predictions are files as CULane's."""

    plain = True

    @staticmethod
    def fits(root: Path) -> bool:
        return root.is_dir() and bool(image_files(root))

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> Folder:
        refuse_split(root, split)
        return cls(root, frames=[Frame(image.name, image) for image in find_images([root])])

    def predictions(self, path: Path) -> CULanePredictions:
        return CULanePredictions(path, self.frames)


def refuse_split(root: Path, split: str | None) -> None:
    """Raises InputError where a split is asked of what has none."""
    if split:
        raise InputError(f"{root} is not divided into splits such as {split!r}: leave the split out")
