"""Average bits and bit operations, worked out by hand and held against the published definition."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from sfcore.detectors.base import Detector, Outputs, Preprocessing
from sfcore.detectors.registry import create
from sfcore.quant import Scheme
from sfcore.quant.convert import convert
from sfcore.quant.cost import Cost, Profile
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import quantizers
from tests.detectors.small import Small


class Three(Small):
    """Three layers and a convolution whose hooks keep it in full precision."""

    def __init__(self) -> None:
        Detector.__init__(self)
        self.preprocessing = Preprocessing((8, 8), (0.5,) * 3, (0.25,) * 3)
        self.frame, self.rows = (8, 8), torch.arange(0.0, 8.0, 2.0)
        self.first = nn.Conv2d(3, 4, 3, 2, 1)
        self.middle = nn.Conv2d(4, 4, 1, groups=2)
        self.hooked = nn.Conv2d(4, 4, 1)
        self.hooked.register_forward_hook(lambda *_: None)
        self.last = nn.Linear(4, 4)

    def forward(self, images: Tensor) -> Outputs:
        x = self.hooked(torch.relu(self.middle(torch.relu(self.first(images)))))
        logits, column = self.last(torch.relu(x).mean((2, 3))).split(2, 1)
        return {"logits": logits.unsqueeze(-1), "column": column.unsqueeze(-1)}


class Fused(Three):
    """The same with products that torch computes in one call: an LSTM over 16 places, attention, a matrix times a
    vector."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(4, 4, batch_first=True)

    def forward(self, images: Tensor) -> Outputs:
        tokens = self.memory(torch.relu(self.first(images)).flatten(2).transpose(1, 2))[0]
        seen = scaled_dot_product_attention(tokens, tokens, tokens)
        logits, column = self.last(seen.mean(1) + torch.mv(seen[0], seen[0, 0]).mean()).split(2, 1)
        return {"logits": logits.unsqueeze(-1), "column": column.unsqueeze(-1)}


@pytest.fixture(scope="module")
def three() -> Profile:
    torch.manual_seed(0)
    return Profile.of(Three().eval())


def test_a_network_worked_out_by_hand(three: Profile) -> None:
    found = three.cost(Scheme.parse("W4A6"))
    # first: 16 places × 4 × 27; middle: 16 × 4 × 2; hooked: 16 × 4 × 4; last: 4 × 4. First and last keep 8 bits.
    assert found.bops == 1728 * 8 * 8 + 128 * 4 * 6 + 256 * 32 * 32 + 16 * 8 * 8
    assert found.average_weight_bits == pytest.approx((108 * 8 + 8 * 4 + 16 * 32 + 16 * 8) / (108 + 8 + 16 + 16))
    assert found.average_activation_bits == pytest.approx((192 * 8 + 64 * 6 + 4 * 8) / (192 + 64 + 4))


def test_rules_change_what_they_name(three: Profile) -> None:
    plain, wide = (three.cost(Scheme.parse(text)) for text in ("W4A6", "W4A6,middle=W16"))
    assert wide.bops - plain.bops == 128 * (16 - 4) * 6
    assert wide.average_activation_bits == plain.average_activation_bits


def test_what_a_scheme_leaves_in_full_precision_counts_32_bits() -> None:
    profile = Profile.of(create("lstr-tiny"))
    layer = next(each for each in profile.layers if each.whole)
    left = Scheme.parse(f"W4A4,{layer.whole}=32")
    parts = [each for each in profile.layers if each.whole == layer.whole]
    assert len(parts) > 3 and {
        bits.weights for each, bits in zip(profile.layers, profile.bits(left), strict=True) if each in parts
    } == {32}
    more = sum(each.weights for each in parts) * 28 / (sum(each.weights for each in profile.layers) + profile.weights)
    plain, found = profile.cost(Scheme.parse("W4A4")), profile.cost(left)
    assert found.average_weight_bits == pytest.approx(plain.average_weight_bits + more)
    assert found.bops - plain.bops == sum(each.macs for each in parts) * (32 * 32 - 4 * 4)


def test_fused_calls_count_as_the_products_that_they_are() -> None:
    torch.manual_seed(0)
    found = Profile.of(Fused().eval())
    assert found.macs == 16 * (16 * 4 + 16 * 4) + 2 * 16 * 16 * 4 + 16 * 4
    assert found.weights == 16 * 4 + 16 * 4 + 4 * 4  # of the LSTM, and of the convolution with hooks


@pytest.mark.parametrize(
    ("bops", "said"), [(0, "0"), (999, "999"), (999_600, "1 M"), (5_451_000_000, "5.45 G"), (2 * 10**17, "200 P")]
)
def test_large_numbers_are_said_in_three_digits(bops: int, said: str) -> None:
    assert Cost(4.0, 4.0, bops).operations == said


def test_costs_come_back_from_a_record(three: Profile) -> None:
    scheme = Scheme.parse("W4A4,heads=16")
    content = json.loads(json.dumps(three.cost(scheme).to_dict(scheme)))
    assert content["name"] == "W4A4,heads=16" and Cost.from_dict(content) == three.cost(scheme)


@pytest.mark.parametrize("name", ["lstr-tiny", "scnn-tiny"])
def test_bits_are_those_of_the_converted_model(name: str) -> None:
    detector, scheme = create(name), Scheme.parse("W4A4,heads=16")
    profile, model = Profile.of(detector), convert(detector, scheme)
    own = {n.removesuffix("_quantizer"): q.bits for n, q in quantizers(model)}
    for layer in profile.layers:
        bits = scheme.bits_of(layer.name, layer.edge, layer.head)
        module = model.get_submodule(layer.name)
        side = "input" if isinstance(module, QuantLayer) else "left"
        assert own[f"{layer.name}.{side}"] == bits.activations
        assert not layer.weights or own[f"{layer.name}.weight"] == bits.weights
    assert profile.macs == 0  # all that multiplies is quantized
    share = 100 * profile.cost(Scheme.parse("W8A8")).bops / profile.cost(Scheme.parse("W16A16")).bops
    assert share == pytest.approx(25)
