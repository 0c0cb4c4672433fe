"""How the U-Net of ``unet.py`` is trained on rendered scenes, by the project's own training loop.

export SFCORE_PLUGINS=examples/unet.py:examples/unet_training.py
python -m sfcore.training unet --scenes 4000 --steps 3000 --rate 3e-3 --out examples/unet.safetensors
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.base import Detector, Outputs
from sfcore.tasks.lanes import Lanes, Polyline
from sfcore.training.objective import Targets, register

HALF = 4  # lanes on each side of the vehicle


@register("unet")
class UNetObjective:
    """Lanes take their slots from the vehicle outward, in the order in which they would meet the image's bottom."""

    def __init__(self, detector: Detector) -> None:
        self.rows, self.frame = detector.rows.cpu(), detector.frame

    def targets(self, lanes: Sequence[Sequence[Polyline]]) -> Targets:
        """x (B, 8, 48) in pixels of the frame, NaN where a lane is not."""
        slots = np.full((len(lanes), 2 * HALF, len(self.rows)), np.nan, np.float32)
        for image, lines in enumerate(lanes):
            x = Lanes.from_polylines([lines], self.rows, self.frame).x[0].numpy() if lines else np.empty((0, 0))
            near = [(self._bottom(line), row) for line, row in zip(lines, x, strict=False)]
            left = sorted((n for n in near if n[0] < 0), key=lambda n: -n[0])[:HALF]
            right = sorted((n for n in near if n[0] >= 0), key=lambda n: n[0])[:HALF]
            for place, (_, row) in enumerate(left):
                slots[image, HALF - 1 - place] = row
            for place, (_, row) in enumerate(right):
                slots[image, HALF + place] = row
        return {"x": torch.from_numpy(slots)}

    def _bottom(self, line: Polyline) -> float:
        """Where a lane's lowest stretch would meet the image's bottom, in pixels from the image's middle."""
        line = np.asarray(line)[np.argsort(np.asarray(line)[:, 1])]
        low, high = line[-1], line[max(len(line) - 5, 0)]
        slope = (low[0] - high[0]) / max(low[1] - high[1], 1.0)
        return float(low[0] + slope * (self.frame[0] - low[1]) - self.frame[1] / 2)

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        x = targets["x"]
        known, cells = ~x.isnan(), outputs["place"].shape[-1]
        exact = ((x + 0.5) * cells / self.frame[1] - 0.5).nan_to_num().clamp(0, cells - 1.001)
        share, cell = exact.frac(), exact.long()
        log = outputs["place"].log_softmax(-1)
        left, right = (log.gather(-1, cell[..., None] + i)[..., 0] for i in (0, 1))
        near = left * (1 - share) + right * share
        mean = (log.exp() * torch.arange(cells, device=log.device)).sum(-1)
        count = known.sum().clamp_min(1)
        return {
            "place": -(near * known).sum() / count,
            "mean": 0.5 * ((mean - exact).abs() * known).sum() / count,
            "visible": 2 * functional.binary_cross_entropy_with_logits(outputs["visible"].mean(-1), known.float()),
            "exists": functional.binary_cross_entropy_with_logits(outputs["exists"], known.any(-1).float()),
        }
