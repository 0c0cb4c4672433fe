"""Targets and loss of LSTR (Liu et al. 2021, section 3.4): bipartite matching, then class, ends and curve.

Three things differ from the published training. Distances are not shares of the image but across the lane, in units of
half the width in which lanes are drawn and scored, and the overlap of so drawn lanes is rewarded too. Every query has
a sector of directions whose lanes cost it less in the matching: what a query stands for is settled from the first step
on instead of after many. The answers after each decoder layer are taught, as published, but share one matching.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.lstr import LSTR
from sfcore.tasks.lanes import Polyline, half_widths, lane_width, sampled
from sfcore.tasks.lanes.rows import off_image_to_nan
from sfcore.training.objective import Targets, register

WEIGHTS = {"lane": 3.0, "ends": 10.0, "distance": 0.3, "overlap": 3.0}
SECTOR = 10.0  # cost of a lane's direction being 1 rad off the middle of a query's sector
SIDE = 1.2  # direction in the middle of the outermost sectors
WIDER = 2.5  # strokes are this much wider than drawn when their overlap is measured, so that near misses count
BORDER = 2.0  # pixels from the image's border at which a lane leaves it


def ends(line: Polyline, size: tuple[int, int]) -> tuple[float, float, bool]:
    """Heights of a lane's upper and lower end inside an image of ``size``, in shares of its height.

    Returns:
        Upper and lower end; whether the lane leaves the image at the lower, so that its curve may go on below.
    """
    height, width = size
    x, y = np.asarray(line, np.float64).T
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    far = np.array([width - 1, height - 1]) - BORDER
    low = y.argmax()
    leaves = x[low] < BORDER or x[low] > far[0] or y[low] > far[1]
    shown = y[inside] if inside.any() else y
    return shown.min() / height, shown.max() / height, bool(leaves)


def ends_off(extent: Tensor, wanted: Tensor) -> Tensor:
    """Distance of both ends (..., 2) from those wanted (..., 3): height of upper and lower, 1 for a lane that leaves.

    Below where it leaves the image a lane may end anywhere: decode cuts it off at the border.
    """
    upper, lower = (extent - wanted[..., :2]).unbind(-1)
    return upper.abs() + torch.where(wanted[..., 2] > 0, lower.clamp_max(0), lower).abs()


def direction(line: Polyline) -> float:
    """Angle of a lane between its ends in radians from upright, positive where the lower end is to the right.

    Heights count threefold: like this, the lanes of a road differ by about as much at its sides as in its middle.
    """
    x, y = np.asarray(line, np.float64).T
    low, high = y.argmax(), y.argmin()
    return float(np.arctan2(x[low] - x[high], 3 * (y[low] - y[high])))


def matching(cost: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cheapest pairs of queries and lanes.

    Args:
        cost: (B, Q, L).
        present: (B, L) bool, which slots hold a lane.

    Returns:
        Image, query and lane of the M pairs.
    """
    pairs = []
    for image, (costs, there) in enumerate(zip(cost.detach().cpu().numpy(), present.cpu().numpy(), strict=True)):
        lanes = there.nonzero()[0]
        queries, chosen = linear_sum_assignment(costs[:, lanes])
        pairs.append(np.stack([np.full(len(queries), image), queries, lanes[chosen]]))
    image, query, lane = torch.from_numpy(np.concatenate(pairs, 1)).to(cost.device)
    return image, query, lane


@register("lstr-tiny", "lstr-small", "lstr-mid", "lstr-r18s")
class LSTRObjective:
    """Cross entropy of all queries; of the matched ones, absolute error of the ends, distance and overlap of curves."""

    def __init__(self, detector: Detector) -> None:
        if not isinstance(detector, LSTR):
            raise TypeError(f"this objective trains LSTR, not {type(detector).__name__}")
        self.detector = detector
        self._states: list[Tensor] = []
        self.sectors = torch.linspace(-SIDE, SIDE, len(detector.query_embed.weight))
        decoder = detector.transformer.decoder
        decoder.register_forward_pre_hook(lambda *_: self._states.clear())
        for layer in decoder.layers:
            layer.register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, inputs: object, state: Tensor) -> None:
        if layer.training:
            self._states.append(state)

    def _answers(self) -> list[Outputs]:
        """What the queries answer after each decoder layer of the forward pass just made, in full precision."""
        norm = self.detector.transformer.decoder.norm
        states, self._states = self._states, []
        return [self.detector.answers(norm(state.float()).transpose(0, 1)) for state in states]

    def targets(self, lanes: Sequence[Sequence[Polyline]]) -> Targets:
        """The lanes of each image in slots.

        Returns:
            x, half (B, L, R): columns and half of a stroke's extent along the row, in pixels of the frame, NaN where
            a lane is absent; ends (B, L, 3): heights of the upper and the lower end in shares of the frame
            and whether the lane leaves the image there; direction (B, L).
        """
        size = self.detector.frame
        found = off_image_to_nan(sampled(lanes, self.detector.rows.cpu(), size))
        slots = found.x.shape[:2]
        way, limits = torch.zeros(slots), torch.zeros(*slots, 3)
        for image, lines in enumerate(lanes):
            for lane, line in enumerate(lines):
                way[image, lane] = direction(line)
                limits[image, lane] = torch.tensor(ends(line, size))
        x = found.x.masked_fill(~found.present.unsqueeze(-1), float("nan"))
        half = half_widths(found, lane_width(size)) * x.isfinite()
        return {"x": x, "half": half, "ends": limits, "direction": way}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        answers = self._answers() or [outputs]
        with torch.no_grad():
            pairs = matching(self._cost(answers[-1], targets), targets["x"].isfinite().any(-1))
        parts = [self._parts(answer, targets, *pairs) for answer in answers]
        return {name: WEIGHTS[name] * torch.stack([part[name] for part in parts]).sum() for name in WEIGHTS}

    def _cost(self, outputs: Outputs, targets: Targets) -> Tensor:
        """(B, Q, L) what it costs to take each query for each lane."""
        x, slots = self.detector.columns(outputs).unsqueeze(2), {k: v.unsqueeze(1) for k, v in targets.items()}
        distance, overlap = self._curve(x, slots["x"], slots["half"])
        off = ends_off(outputs["extent"].unsqueeze(2), slots["ends"])
        lane = outputs["logits"].softmax(-1)[..., 1:]
        cost = WEIGHTS["distance"] * distance + WEIGHTS["overlap"] * overlap + WEIGHTS["ends"] * off
        sector = (self.sectors.to(cost.device).unsqueeze(-1) - slots["direction"]).abs()
        return cost - WEIGHTS["lane"] * lane + SECTOR * sector

    def _parts(
        self, outputs: Outputs, targets: Targets, image: Tensor, query: Tensor, lane: Tensor
    ) -> dict[str, Tensor]:
        label = torch.zeros(outputs["logits"].shape[:2], dtype=torch.long, device=image.device)
        label[image, query] = 1
        x = self.detector.columns(outputs)[image, query]
        distance, overlap = self._curve(x, targets["x"][image, lane], targets["half"][image, lane])
        off = ends_off(outputs["extent"][image, query], targets["ends"][image, lane])
        number = max(len(image), 1)
        return {
            "lane": functional.cross_entropy(outputs["logits"].flatten(0, 1), label.flatten()),
            "ends": off.sum() / number,
            "distance": distance.sum() / number,
            "overlap": overlap.sum() / number,
        }

    def _curve(self, x: Tensor, wanted: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        """How far the columns ``x`` lie from those ``wanted``, broadcast together and reduced over the rows.

        Returns:
            Mean distance across the lane in half strokes; 1 - IoU of wide strokes, below 2 where they are far apart
            (Zheng et al. 2022, eq. 4).
        """
        known = wanted.isfinite()
        reach = torch.where(known, half, 1.0)
        apart = torch.where(known, (x - wanted.nan_to_num()).abs(), 0.0) / reach
        distance = apart.sum(-1) / known.sum(-1).clamp_min(1)
        area = 2 * WIDER * half
        both = half * apart
        overlap = ((area - both).sum(-1) + 1e-9) / ((area + both).sum(-1) + 1e-9)
        return distance, 1 - overlap
