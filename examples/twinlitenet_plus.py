"""A detector from an .onnx file: TwinLiteNet+ (Che et al. 2024), whose outputs are maps: drivable area, lane lines.

The file is not part of this project. Anything exported from https://github.com/chequanghuy/TwinLiteNetPlus (MIT) for
384 × 640 will do; https://github.com/Dileepmeom/TwinLiteNetPlus_Pi has some in pretrained/.

export TWINLITENET_PLUS=/path/to/nano.onnx
export SFCORE_PLUGINS=examples/twinlitenet_plus.py
sfcore check-detector twinlitenet-plus
"""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor
from torch.nn import functional

from sfcore.detectors.base import Head, Outputs, Preprocessing, RoadPoints
from sfcore.detectors.onnx_detector import OnnxDetector
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.maps import cell_centres, lanes_of_map, points_of_map

FILE = Path(os.environ.get("TWINLITENET_PLUS", Path(__file__).with_name("twinlitenet_plus.onnx")))
CELL = 4  # pixels of the input that are one cell where lanes are read off; lane lines are about twice as wide


@register("twinlitenet-plus", network=FILE, source="https://github.com/chequanghuy/TwinLiteNetPlus")
class TwinLiteNetPlus(OnnxDetector):
    preprocessing = Preprocessing((384, 640), (0.0,) * 3, (1.0,) * 3)
    heads = (
        Head("lane", "semantics", ("background", "lane"), ("logit",) * 2, "lane", "grid", 1,
             "Whether each pixel shows a lane line; where it does is where the lane is."),
        Head("drivable", "confidence", ("background", "drivable"), ("logit",) * 2, "drivable", "grid", 1,
             "Whether one can drive on each pixel; no lane is read off it."),
    )  # fmt: skip

    columns: Tensor

    def __init__(self) -> None:
        super().__init__(FILE, {"lane": "ll", "drivable": "da"})
        self.frame = (360, 640)
        self.register_buffer("rows", cell_centres(384 // CELL, 360), persistent=False)
        self.register_buffer("columns", cell_centres(640 // CELL, 640), persistent=False)

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs[head].softmax(1)[:, 1:]

    def lane_map(self, outputs: Outputs) -> Tensor:
        """(B, 96, 160) probability that a cell shows a lane line."""
        return functional.avg_pool2d(self.confidence(outputs, "lane"), CELL)[:, 0]

    def decode(self, outputs: Outputs) -> Lanes:
        return lanes_of_map(self.lane_map(outputs), self.columns, self.rows, self.frame)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        return points_of_map(self.lane_map(outputs), self.columns)
