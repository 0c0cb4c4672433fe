"""Which parts of a network are reconstructed one after the other."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.registry import DETECTORS, entries, entry
from sfcore.errors import InputError
from sfcore.quant import Scheme
from sfcore.quant.convert import convert
from sfcore.quant.hooks import hooks
from sfcore.quant.layers import QuantLayer
from sfcore.quant.reconstruct.units import find_units
from sfcore.registries import import_file
from tests.quant.conftest import Small

UNET = Path(__file__).parents[2] / "examples" / "unet.py"
TINY = [each.name for each in entries() if each.weights]


def built(name: str) -> Detector:
    """A detector without trained weights; the example is not left registered, for other tests go through all."""
    if name != "unet":
        return entry(name).build().eval()
    before = dict(DETECTORS._things)
    import_file(UNET)
    DETECTORS._things = before
    return sys.modules["sfcore_plugin_unet"].UNet().eval()


@cache
def converted(name: str) -> Detector:
    return convert(built(name), Scheme.parse("W4A4"))


def names(detector: Detector, granularity: str) -> list[str]:
    return [unit.name for unit in find_units(convert(detector, Scheme.parse("W4A4")), granularity)]


def ran(model: Detector) -> list[str]:
    """Names of the quantized layers in the order in which they first run."""
    found: dict[str, None] = {}
    layers = {module: name for name, module in model.named_modules() if isinstance(module, QuantLayer)}
    with torch.no_grad(), hooks(layers, before=lambda module, _: found.setdefault(layers[module])):
        model(model.preprocessing.normalize(model.preprocessing.example()))
    return list(found)


@pytest.mark.parametrize("granularity", ["block", "layer"])
@pytest.mark.parametrize("name", [*TINY, "unet"])
def test_every_layer_that_runs_is_in_exactly_one_unit_in_the_order_of_running(name: str, granularity: str):
    model = converted(name)
    units = [unit.name for unit in find_units(model, granularity)]
    places = [[place for place, unit in enumerate(units) if f"{layer}.".startswith(f"{unit}.")] for layer in ran(model)]
    assert all(len(found) == 1 for found in places)
    first = [place for (place,) in places]
    assert list(dict.fromkeys(first)) == sorted(set(first))
    assert len(units) < len(places) if granularity == "block" else len(units) >= len(places)


def test_blocks_and_layers_of_a_small_detector(small: Detector):
    attention = [f"attention.{part}" for part in ("query", "key", "value", "scores", "mix", "out_proj")]
    ends = ["product", "middle", "classify", "place"]
    assert names(small, "block") == ["stem", "block", "attention", *ends]
    assert names(small, "layer") == ["stem", "block.downsample.0", "block.conv1", "block.conv2", *attention, *ends]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("lstr-tiny", ["layer2.0", "transformer.encoder.layers.0", "transformer.decoder.layers.1", "specific_embed"]),
     ("ganet-tiny", ["backbone.layer2.1", "neck.trans_head.attn_layers.0", "bbox_head.offset_head"]),
     ("unet", ["down3", "place"])],
)  # fmt: skip
def test_blocks_are_those_that_people_would_name(name: str, expected: list[str]):
    found = [unit.name for unit in find_units(converted(name), "block")]
    assert [unit for unit in found if unit in expected] == expected


def test_a_unit_knows_its_calls_and_where_images_lie_in_its_tensors():
    units = {unit.name: unit for unit in find_units(converted("lstr-tiny"), "block")}
    tokens, positions = units["transformer.encoder.layers.0"].inputs[0]
    assert (tokens.axis, positions.axis) == (1, None)  # tokens are (cells, images, channels)
    scnn = converted("scnn-tiny")
    message = next(unit for unit in find_units(scnn, "layer") if unit.name == "scnn_layer.conv_d")
    assert message.calls == scnn.preprocessing.size[0] // 4 - 1  # one for each row of cells but the last


class Wayward(Small):
    """Uses a layer of its block outside it, too."""

    def forward(self, images: Tensor) -> Outputs:
        x = torch.relu(self.norm(self.stem(images)))
        x = self.block(x) + self.block.downsample(x)
        x = x.flatten(2).mean(2)
        return {"logits": self.classify(x).unsqueeze(-1), "column": 32 + 8 * self.place(x).unsqueeze(-1)}


class Mingling(Small):
    """Its linear layer sees images and cells along one axis, with a row more than images times cells."""

    def forward(self, images: Tensor) -> Outputs:
        x = self.block(torch.relu(self.norm(self.stem(images))))
        rows = x.flatten(2).transpose(1, 2).flatten(0, 1)
        x = self.middle(torch.cat([rows, rows[:1]]))[:-1].unflatten(0, (len(images), -1)).mean(1)
        return {"logits": self.classify(x).unsqueeze(-1), "column": 32 + 8 * self.place(x).unsqueeze(-1)}


def test_a_block_whose_layer_also_runs_outside_falls_apart():
    found = names(Wayward().eval(), "block")
    assert found == ["stem", "block.downsample.0", "block.conv1", "block.conv2", "classify", "place"]


def test_a_layer_in_which_images_cannot_be_told_apart_is_refused():
    with pytest.raises(InputError, match=r"the layer middle cannot be reconstructed alone.*net-wise"):
        names(Mingling().eval(), "layer")
