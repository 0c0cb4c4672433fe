"""What segmentation detectors share: a map of probabilities for each lane slot, read row by row.

A slot is a place beside the vehicle: the first lane line to its left, the second, and so on, likewise to the right.
Each cell of the map is background or belongs to one slot; a second head says which slots hold a lane at all. The
post-process is that of Pan et al. (AAAI 2018, section 3) as published in pytorch-auto-drive: the map, stretched to the
size of the input, is averaged over a box, and in every gap-th row the best column of each slot is a point of its lane.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints, even_rows
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.distortion import REFERENCE_WIDTH

AT_ONCE = 2  # images decoded together: what they need in between fits the processor's cache


@dataclass(frozen=True)
class Sampling:
    """How maps become lanes.

    Attributes:
        gap: pixels of the frame from one point of a lane up to the next; the first lies in the last row.
        points: most points of a lane.
        blur: side of the box, in pixels of the input, over which probabilities are averaged; odd.
        threshold: averaged probability above which a row has a point.
        existence: probability above which a slot holds a lane.
    """

    gap: int
    points: int
    blur: int = 9
    threshold: float = 0.3
    existence: float = 0.5


def slot_names(slots: int) -> tuple[str, ...]:
    """What the lane slots are called, from left to right; those nearest to the vehicle are "left 1" and "right 1"."""
    side = range(1, slots // 2 + 1)
    return (*(f"left {n}" for n in reversed(side)), *(f"right {n}" for n in side))


class Segmentation(Detector):
    """A detector with a map of lane slots and the probability that each slot holds a lane.

    Args:
        slots: most lanes that can be found, half of them on either side of the vehicle.
        stride: pixels of the input per cell of the map.
        preprocessing, frame: as of every detector.
        sampling: how maps become lanes.
    """

    input_rows: Tensor
    window: Tensor

    def __init__(
        self, slots: int, stride: int, preprocessing: Preprocessing, frame: tuple[int, int], sampling: Sampling
    ) -> None:
        super().__init__()
        self.preprocessing, self.frame, self.sampling = preprocessing, frame, sampling
        names = slot_names(slots)
        self.heads = (
            Head("segmentation", "semantics", ("background", *names), ("logit",) * (slots + 1), "existence", "grid",
                 stride, "Which lane each cell belongs to, or none. Its confidence: that of any lane that exists."),
            Head("existence", "confidence", names, ("logit",) * slots, "existence", "image",
                 description="Which lane slots hold a lane."),
        )  # fmt: skip
        height, seen = preprocessing.size[0], frame[0] - round(preprocessing.top * frame[0])
        up = torch.arange(sampling.points - 1, -1, -1)
        start = float(frame[0] - 1 - (sampling.points - 1) * sampling.gap)
        self.register_buffer("rows", even_rows(frame[0], sampling.gap, start), persistent=False)
        # (R,) the row of the input that each row of the frame is read from: cut to whole pixels, as published.
        self.register_buffer("input_rows", height * (seen - up * sampling.gap) // seen - 1, persistent=False)
        reach = torch.arange(sampling.blur) - sampling.blur // 2
        window = (self.input_rows + reach[:, None]).clamp(0, height - 1)
        self.register_buffer("window", window, persistent=False)  # (blur, R) the rows that each average takes in

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        exists = outputs["existence"].sigmoid()
        if self.head(head).name == "existence":
            return exists
        lanes = outputs["segmentation"].softmax(1)[:, 1:]
        return (lanes * exists[:, :, None, None]).sum(1, keepdim=True).clamp_max(1)

    def decode(self, outputs: Outputs) -> Lanes:
        score = outputs["existence"].sigmoid()
        exists = score > self.sampling.existence
        groups = zip(outputs["segmentation"].split(AT_ONCE), exists.split(AT_ONCE), strict=True)
        x = torch.cat([self._columns(*group) for group in groups])
        return Lanes(x, score, self.rows, self.frame)

    def _columns(self, logits: Tensor, exists: Tensor) -> Tensor:
        """(B, K, R) the column of each slot in each row, in pixels of the frame; NaN where it has no point."""
        size, side = self.preprocessing.size, self.sampling.blur
        lanes = stretched(logits, self.window.flatten(), size).softmax(1)[:, 1:][exists]
        value, column = along_rows(lanes.unflatten(1, (side, -1)).sum(1), side).max(2)
        found = (value / side**2 > self.sampling.threshold) & (column > 0)  # published: column 0 stands for "none"
        found &= found.sum(-1, keepdim=True) >= 2
        x = (column.double() / size[1] * self.frame[1]).floor().to(logits.dtype)
        columns = logits.new_full((*exists.shape, len(self.rows)), float("nan"))
        columns[exists] = x.masked_fill(~found, float("nan"))
        return columns

    def road_points(self, outputs: Outputs) -> RoadPoints:
        """Of every slot, the centroid of its probability along each row, and the length of its lane.

        Columns count by the square of their probability p: the faint rest of a row would else outweigh a narrow lane.
        The length is the height of the rows that have a point, each counted by the odds of its highest p against
        the threshold t: p (1 - t) / (p (1 - t) + t (1 - p)), one half where p = t.
        """
        unit, threshold = self.frame[1] / REFERENCE_WIDTH, self.sampling.threshold
        width = self.preprocessing.size[1]
        lanes = stretched(outputs["segmentation"], self.input_rows, self.preprocessing.size).softmax(1)[:, 1:]
        column = torch.arange(width, device=lanes.device) * (self.frame[1] / width)
        share = lanes.square()
        centroid = (share * column).sum(3) / share.sum(3).clamp_min(1e-9)
        peak = lanes.amax(3)
        hit, miss = peak * (1 - threshold), threshold * (1 - peak)
        length = (hit / (hit + miss)).sum(-1) * self.sampling.gap
        exists = outputs["existence"].detach().sigmoid()
        weight = (exists.unsqueeze(-1) * peak * (peak > threshold)).detach()
        position = torch.cat([centroid.flatten(1), length], 1) / unit
        return RoadPoints(position, torch.cat([weight.flatten(1), exists], 1))


def stretched(maps: Tensor, rows: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (B, C, h, w) as large as the input, at some of its rows: (B, C, N, W), bilinear, corners on corners.

    Args:
        rows: (N,) of the input.
        size: (height, width) of the input.
    """
    cells = maps.shape[2:]
    if cells == size:
        return maps.index_select(2, rows)
    place = rows.to(maps.dtype) * ((cells[0] - 1) / (size[0] - 1))
    above = place.floor().clamp_max(cells[0] - 2)
    share, above = (place - above).unsqueeze(1), above.long()
    maps = torch.lerp(maps.index_select(2, above), maps.index_select(2, above + 1), share)
    return functional.interpolate(maps, size=(len(rows), size[1]), mode="bilinear", align_corners=True)


def along_rows(lines: Tensor, side: int) -> Tensor:
    """(N, R, W): the sum of ``side`` neighbours along each row, centred; beyond its ends the outermost repeat."""
    width = lines.shape[2]
    padded = functional.pad(lines, (side // 2, side // 2), mode="replicate")
    total = padded[..., :width].clone()
    for shift in range(1, side):
        total += padded[..., shift : shift + width]
    return total


class Reducer(nn.Module):
    """1×1 convolution, batch norm and ReLU that bring the backbone's features to the width of the message passing."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn1(self.conv1(x)))


class Existence(nn.Module):
    """Which slots hold a lane, from maps of probabilities: averaged over 2×2 cells, then two linear layers.

    Args:
        cells: (height, width) of the maps.
        classes: channels of the maps, one more than slots.
        hidden: values between the two layers.
    """

    def __init__(self, cells: tuple[int, int], classes: int, hidden: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.linear1 = nn.Linear((cells[0] // 2) * (cells[1] // 2) * classes, hidden)
        self.linear2 = nn.Linear(hidden, classes - 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C - 1) logits."""
        return self.linear2(functional.relu(self.linear1(self.pool(maps).flatten(1))))
