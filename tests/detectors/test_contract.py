"""What every registered detector promises, whichever it is."""

from __future__ import annotations

import pytest
import torch

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.registry import entries, entry
from sfcore.lanes import Lanes

IMAGES = 2


@pytest.fixture(scope="module", params=[each.name for each in entries()])
def detector(request: pytest.FixtureRequest) -> Detector:
    torch.manual_seed(0)
    return entry(request.param).build().eval()


@pytest.fixture(scope="module")
def outputs(detector: Detector) -> Outputs:
    images = torch.randn(IMAGES, 3, *detector.preprocessing.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return detector(images)


def test_the_table_of_heads_names_the_outputs(detector: Detector, outputs: Outputs):
    assert [head.name for head in detector.heads] == list(outputs)
    for head in detector.heads:
        value, channels = outputs[head.name], len(head.channels)
        assert len(head.units) == channels
        assert value.shape[0] == IMAGES
        assert value.shape[1 if head.layout == "grid" else -1] == channels
        assert value.ndim == {"grid": 4, "query": 3, "image": 2}[head.layout]
        assert detector.head(head.confidence).role == "confidence"
        if head.layout == "grid":
            assert value.shape[2] == detector.preprocessing.size[0] // head.stride


def test_confidences_are_probabilities_that_fit_their_heads(detector: Detector, outputs: Outputs):
    for head in detector.heads:
        confidence = detector.confidence(outputs, head.name)
        assert ((confidence >= 0) & (confidence <= 1)).all()
        torch.broadcast_shapes(confidence.shape, outputs[head.name].shape)


def test_lanes_lie_in_the_frame(detector: Detector, outputs: Outputs):
    lanes = detector.decode(outputs)
    assert isinstance(lanes, Lanes)
    assert lanes.size == detector.frame
    known = lanes.x[lanes.valid]
    assert ((known >= 0) & (known <= detector.frame[1] - 1)).all()
    assert ((lanes.rows >= 0) & (lanes.rows <= detector.frame[0] - 1)).all()


def test_decoding_a_batch_is_decoding_its_images(detector: Detector, outputs: Outputs):
    together = detector.decode(outputs)
    for image in range(IMAGES):
        alone = detector.decode({name: value[image : image + 1] for name, value in outputs.items()})
        for one, other in zip(alone.polylines(0), together.polylines(image), strict=True):
            assert (one == other).all()


def test_road_points_pass_finite_gradients_to_semantics(detector: Detector, outputs: Outputs):
    asked = {name: value.clone().requires_grad_() for name, value in outputs.items()}
    points = detector.road_points(asked)
    assert points.position.shape == points.weight.shape
    assert not points.weight.requires_grad
    points.position.sum().backward()
    for head in detector.heads:
        gradient = asked[head.name].grad
        assert gradient is None or torch.isfinite(gradient).all()
    assert any(asked[head.name].grad is not None for head in detector.heads if head.role == "semantics")


def test_outputs_are_not_changed_by_reading_them(detector: Detector, outputs: Outputs):
    before = {name: value.clone() for name, value in outputs.items()}
    detector.decode(outputs)
    detector.road_points(outputs)
    assert all(torch.equal(value, before[name]) for name, value in outputs.items())
