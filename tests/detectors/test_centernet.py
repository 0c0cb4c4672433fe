"""CenterNet: what its outputs mean, worked out by hand."""

from __future__ import annotations

import pytest
import torch

from sfcore.detectors.base import Outputs
from sfcore.detectors.centernet import STRIDE, CenterNet, centernet_tiny
from sfcore.quant import quantize
from sfcore.quant.scheme import Scheme


@pytest.fixture(scope="module")
def detector() -> CenterNet:
    torch.manual_seed(0)
    return centernet_tiny().eval()


def nothing(detector: CenterNet, images: int = 1) -> Outputs:
    """Outputs that find nothing, of boxes without size."""
    rows, columns = (side // STRIDE for side in detector.preprocessing.size)
    shapes = {"hm": len(detector.names), "wh": 2, "reg": 2}
    outputs = {name: torch.zeros(images, channels, rows, columns) for name, channels in shapes.items()}
    outputs["hm"] -= 9
    return outputs


def one(detector: CenterNet, logit: float = 3.0) -> Outputs:
    """A truck 6 cells wide and 4 high whose centre is at (20.25, 10.5) cells."""
    outputs = nothing(detector)
    outputs["hm"][0, 1, 10, 20] = logit
    outputs["wh"][0, :, 10, 20] = torch.tensor([6.0, 4.0])
    outputs["reg"][0, :, 10, 20] = torch.tensor([0.25, 0.5])
    return outputs


def test_a_box_lies_where_its_cell_says(detector: CenterNet) -> None:
    """A cell is 4 px of an input of 384 × 224 px, and the frame 640 × 360 px: 6.67 px wide and 6.43 px high."""
    found = detector.decode(one(detector))
    assert found.size == (360, 640) and found.labels(0) == ["truck"]
    wide, high = 4 * 640 / 384, 4 * 360 / 224
    expected = [17.25 * wide, 8.5 * high, 23.25 * wide, 12.5 * high, 1, torch.tensor(3.0).sigmoid()]
    torch.testing.assert_close(torch.from_numpy(found.objects(0)[0]), torch.tensor(expected))


def test_neighbours_are_suppressed_in_their_own_class_alone(detector: CenterNet) -> None:
    outputs = one(detector)
    outputs["hm"][0, 1, 10, 21] = 2.0
    assert detector.decode(outputs).labels(0) == ["truck"]
    outputs["hm"][0, 0, 10, 21] = 2.0
    assert detector.decode(outputs).labels(0) == ["truck", "car"]
    outputs["hm"][0, 1, 10, 21] = 3.0  # equals stay, as published
    assert sorted(detector.decode(outputs).labels(0)) == ["car", "truck", "truck"]


def test_unsure_boxes_are_candidates_alone(detector: CenterNet) -> None:
    unsure = one(detector, logit=-1.0)  # 0.27
    assert detector.decode(unsure).counts().tolist() == [0]
    assert len(detector.candidates(unsure).objects(0)) == detector.picking.most
    assert detector.candidates(unsure).scores(0)[0] == pytest.approx(0.269, abs=1e-3)


def test_a_box_of_a_negative_side_is_an_empty_one(detector: CenterNet) -> None:
    outputs = one(detector)
    outputs["wh"][0, 0, 10, 20] = -2.0
    [found] = detector.decode(outputs).objects(0)
    assert found[0] == found[2] and found[3] > found[1]


def test_corners_move_with_sizes_and_offsets_and_weigh_what_is_sure(detector: CenterNet) -> None:
    outputs = one(detector)
    asked = {name: value.requires_grad_() for name, value in outputs.items()}
    points = detector.corners(asked)
    cells = outputs["hm"][0, 0].numel()
    left = 10 * 96 + 20
    sides = points.position[0, left::cells]
    expected = detector.decode({name: value.detach() for name, value in outputs.items()}).box[0, 0]
    torch.testing.assert_close(sides.detach(), expected)  # the frame is 640 px wide: pixels are those of points
    assert points.weight[0, left::cells].tolist() == pytest.approx([0.9526] * 4, abs=1e-4)
    assert (points.weight > 0).sum() == 4
    sides[0].backward()
    wide = float(detector.cell[0])
    assert asked["reg"].grad is not None and asked["reg"].grad[0, 0, 10, 20].item() == pytest.approx(wide)
    assert asked["wh"].grad is not None and asked["wh"].grad[0, 0, 10, 20].item() == pytest.approx(-wide / 2)


def test_positives_are_gaussians_of_the_boxes_around_sure_peaks(detector: CenterNet) -> None:
    outputs = one(detector)
    outputs["wh"][0, :, 10, 20] = torch.tensor([12.0, 8.0])  # corners may move inwards by 2.2: a radius of 2
    heat = detector.positives(outputs, 0.1)["hm"]
    assert (heat == 1).nonzero().tolist() == [[0, 1, 10, 20]]
    assert ((heat > 0).sum(), heat[0, 0].sum()) == (25, 0)
    assert detector.positives(nothing(detector), 0.1)["hm"].sum() == 0


def test_confidence_of_semantics_is_that_of_the_surest_class(detector: CenterNet) -> None:
    outputs = one(detector)
    for head in ("wh", "reg"):
        assert detector.confidence(outputs, head).shape == (1, 1, 56, 96)
        assert detector.confidence(outputs, head)[0, 0, 10, 20].item() == pytest.approx(0.9526, abs=1e-4)
    assert detector.confidence(outputs, "hm").shape == outputs["hm"].shape


@pytest.mark.slow
def test_eight_bits_change_its_heads_little(detector: CenterNet) -> None:
    generator = torch.Generator().manual_seed(0)
    spec = detector.preprocessing
    inputs = spec.normalize(spec.example(2, generator))
    quantized = quantize(detector, Scheme.parse("W8A8"), [inputs])
    with torch.no_grad():
        before, after = detector(inputs), quantized(inputs)
    for name, value in before.items():
        assert (after[name] - value).abs().mean() < 0.05 * value.std().clamp_min(0.01)
