"""A video, without labels; its frames go by their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sfcore.datasets import videos
from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame
from sfcore.datasets.layouts.culane import CULanePredictions
from sfcore.datasets.layouts.folder import refuse_split


@LAYOUTS.register("video")
@dataclass
class Video(Dataset):
    """The frames of a video file, ``drive/000120`` of ``drive.mp4``; predictions are files as CULane's."""

    plain = True

    shape: tuple[int, int] = (0, 0)

    @staticmethod
    def fits(root: Path) -> bool:
        return videos.is_video(root)

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> Video:
        refuse_split(root, split)
        frames = [Frame(f"{root.stem}/{image.name}", image) for image in videos.frames(root)]
        promised, problems = videos.promised_frames(root), []
        if promised > len(frames):
            problems = [f"{root} promises {promised} frames, but only the first {len(frames)} can be decoded"]
        height, width = videos.read_frame(root, 0).shape[:2]
        return cls(root, "", frames, problems, (height, width))

    def size(self, frame: Frame) -> tuple[int, int]:
        return self.shape

    def predictions(self, path: Path) -> CULanePredictions:
        return CULanePredictions(path, self.frames)
