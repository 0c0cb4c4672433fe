"""Which activations must have the same bits where an engine holds every tensor once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector
from sfcore.detectors.layers import MatMul
from sfcore.detectors.registry import entries, entry
from sfcore.quant import Scheme, quantize
from sfcore.quant.convert import convert, example
from sfcore.quant.quantizers import quantizers
from sfcore.quant.sharing import sharing
from tests.detectors.user_made import ResNet18, TwoColumns

TINY = [each.name for each in entries() if each.weights]
ORDER = [3, 1, 0, 2, 7, 6, 5, 4]  # of the channels
Groups = set[frozenset[str]]


class Toy(TwoColumns):
    """A stem, and what ``flow`` makes of its output with convolutions a to e and other layers."""

    width = 8

    def __init__(self, flow: Callable[[Toy, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.flow = flow
        self.positions = nn.Parameter(torch.rand(1, 8, 16, 24))
        for name, layer in {"stem": nn.Conv2d(3, 8, 3, 4, 1), **layers}.items():
            self.add_module(name, layer)
        for name in "abcde":
            self.add_module(name, nn.Conv2d(8, 8, 3, padding=1))
        self.eval().requires_grad_(False)

    def build(self) -> None:
        """Nothing: layers are given."""

    def features(self, images: Tensor) -> Tensor:
        return self.flow(self, torch.relu(self.stem(images))).mean((2, 3))


def found(detector: Detector) -> Groups:
    """The groups, without the layers' ``input_quantizer``."""
    model = convert(detector, Scheme.parse("W4A4"))
    groups = sharing(model, example(detector))
    assert sum(map(len, groups)) == len(frozenset().union(*groups))
    return {frozenset(name.removesuffix(".input_quantizer") for name in group) for group in groups}


def tied(flow: Callable[[Toy, Tensor], Tensor], **layers: nn.Module) -> Groups:
    """The groups in ``flow``: without that of the two heads, which read the same."""
    return found(Toy(flow, **layers)) - {frozenset(["classify", "place"])}


def groups(*names: str) -> Groups:
    """``groups("ab", "cd")`` for letters, or a text of names."""
    return {frozenset(text.split() if " " in text else text) for text in names}


def together(*maps: Tensor) -> Tensor:
    """One map that depends on all, whose inputs no layer reads."""
    return torch.stack([m.mean((2, 3), keepdim=True) for m in maps]).prod(0)


def test_the_heads_that_read_the_same_features_share_them():
    assert found(Toy(lambda d, x: d.a(x))) == groups("classify place")


def test_in_a_residual_block_the_inputs_of_the_sum_share_and_so_do_its_readers_but_not_both():
    def block(d: Toy, x: Tensor) -> Tensor:
        inner = torch.relu(d.a(x))
        out = d.b(inner)
        total = out + x
        return together(d.c(total), d.d(total), d.e(out))

    assert tied(block) == groups("ae", "cd")


def test_a_sum_in_place_is_another_tensor_too():
    def block(d: Toy, x: Tensor) -> Tensor:
        out = d.a(x)
        before = d.e(out)
        out -= x
        return together(d.c(torch.relu_(out)), d.d(out), before)

    assert tied(block) == groups("ae", "cd")


def test_a_sum_into_a_part_leaves_the_tensor_what_it_is():
    def block(d: Toy, x: Tensor) -> Tensor:
        out = d.a(x)
        out[:, :4] += x[:, :4]
        return d.b(out)

    assert tied(block) == groups("ab")


def test_the_idiom_of_torchvision_ties_the_first_convolution_to_that_of_the_skip():
    first = {f"stages.{stage}.0.{name}" for stage in (1, 2, 3) for name in ("conv1", "downsample.0")}
    skips = found(ResNet18().eval()) - groups("classify place")
    assert all(len(group) == 2 for group in skips) and frozenset().union(*skips) == first
    assert frozenset(["stages.2.0.conv1", "stages.2.0.downsample.0"]) in skips


@pytest.mark.parametrize(
    ("placed", "expected"), [(False, "attention.query attention.key attention.value"),
                             (True, "attention.query attention.key")]
)  # fmt: skip
def test_queries_keys_and_values_share_what_they_are_made_of(placed: bool, expected: str):
    def attend(d: Toy, x: Tensor) -> Tensor:
        tokens, places = x.flatten(2).transpose(1, 2), d.positions.flatten(2).transpose(1, 2)
        query = tokens + places if placed else tokens
        return d.attention(query, query, tokens)[0].transpose(1, 2).unflatten(2, (16, 24))

    assert tied(attend, attention=nn.MultiheadAttention(8, 2, batch_first=True)) == groups(expected)


def test_parts_of_one_output_are_the_operands_of_products_in_the_same_bits():
    def attend(d: Toy, x: Tensor) -> Tensor:
        query, key, value = d.all(x).flatten(2).chunk(3, 1)
        mixed = d.mix(value, d.scores(query.transpose(1, 2) / 3, key).softmax(-1))
        return mixed.unflatten(2, (16, 24))

    layers = {"all": nn.Conv2d(8, 24, 1), "scores": MatMul(), "mix": MatMul()}
    # Queries are divided first, so that they are another tensor.
    assert tied(attend, **layers) == groups("scores.right_quantizer mix.left_quantizer")


@pytest.mark.parametrize(
    "joined",
    [
        lambda p, q: torch.cat([p, q], 2),
        lambda p, q: torch.stack([p, q], 2).flatten(2, 3),
        lambda p, q: written(p.new_zeros(len(p), 8, 32, 24), p, q),
    ],
    ids=["cat", "stack", "written"],
)
def test_what_is_put_side_by_side_shares_with_the_whole(joined: Callable[[Tensor, Tensor], Tensor]):
    def flow(d: Toy, x: Tensor) -> Tensor:
        p, q = d.a(x), torch.relu(d.a(x))
        return together(d.b(p), d.c(q), d.d(joined(p, q)))

    assert tied(flow) == groups("bcd")


def written(whole: Tensor, upper: Tensor, lower: Tensor) -> Tensor:
    whole[:, :, :16], whole[:, :, 16:] = upper, lower
    return whole


@pytest.mark.parametrize(
    "joined",
    [
        lambda d, x: x + d.positions,
        lambda d, x: d.positions - x,
        lambda d, x: x.clone().add_(d.positions),
    ],
    ids=["add", "sub", "add_"],
)
def test_what_is_not_computed_from_the_images_ties_nothing_that_it_is_added_to(
    joined: Callable[[Toy, Tensor], Tensor],
):
    def flow(d: Toy, x: Tensor) -> Tensor:
        y = d.a(x)
        return together(d.b(y), d.c(joined(d, x)), d.d(joined(d, y)))

    assert tied(flow) == set()


@pytest.mark.parametrize("made", [torch.zeros_like, lambda x: x.new_zeros(x.shape)], ids=["zeros_like", "new_zeros"])
def test_what_has_but_the_shape_of_an_activation_is_a_constant(made: Callable[[Tensor], Tensor]):
    def flow(d: Toy, x: Tensor) -> Tensor:
        y, zeros = d.a(x), made(x)
        return together(d.b(y), x + zeros, y + zeros)

    assert tied(flow) == set()


def test_a_constant_beside_two_activations_does_not_tie_them():
    def flow(d: Toy, x: Tensor) -> Tensor:
        y = d.a(x)
        return together(d.b(torch.cat([x, d.positions], 2)), d.c(torch.cat([y, d.positions], 2)))

    assert tied(flow) == groups("ab")  # both read x


def test_a_layer_that_is_called_twice_ties_what_it_reads():
    def flow(d: Toy, x: Tensor) -> Tensor:
        y = torch.relu(d.b(x))
        return together(d.a(x), d.a(y), d.c(y))

    assert tied(flow) == groups("abc")


SAME: dict[str, Callable[[Tensor], Tensor]] = {
    "view": lambda x: x[..., ::2],
    "clone": lambda x: x.clone(),
    "transpose": lambda x: x.transpose(2, 3).contiguous(),
    "reshape": lambda x: x.transpose(2, 3).reshape(len(x), 8, 12, 32),
    "repeat": lambda x: x.repeat(1, 1, 2, 1),
    "expand": lambda x: x[:, :1].expand(-1, 8, -1, -1),
    "flip": lambda x: x.flip(-1),
    "roll": lambda x: x.roll(1, 2),
    "index": lambda x: x[:, ORDER],
    "index_select": lambda x: x.index_select(1, torch.tensor(ORDER)),
    "gather": lambda x: x.gather(1, torch.zeros_like(x, dtype=torch.long)),
    "channel_shuffle": lambda x: functional.channel_shuffle(x, 2),
    "shuffle": lambda x: x.unflatten(1, (2, 4)).transpose(1, 2).flatten(1, 2),
    "zeros": lambda x: functional.pad(x, (1, 1)),
    "reflection": lambda x: functional.pad(x, (1, 1, 1, 1), "reflect"),
    "circular": lambda x: functional.pad(x, (1, 1, 1, 1), "circular"),
    "nearest": lambda x: functional.interpolate(x, scale_factor=2),
    "double": lambda x: x.double().float(),
    "identity": nn.Identity(),
}
OTHER: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "scaled": lambda x: 2 * x,
    "moved": lambda x: x + 1,
    "square": lambda x: x * x,
    "doubled": lambda x: x + x,
    "max_pool": lambda x: functional.max_pool2d(x, 2),
    "mean": lambda x: x.mean(1, keepdim=True).expand(-1, 8, -1, -1),
    "norm": lambda x: functional.layer_norm(x, x.shape[2:]),
    "bilinear": lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"),
    "shape": lambda x: torch.ones_like(x),
}


@pytest.mark.parametrize("name", SAME)
def test_a_copy_is_the_same_tensor(name: str):
    assert tied(lambda d, x: together(d.a(x), d.b(SAME[name](x)))) == groups("ab")


@pytest.mark.parametrize("name", OTHER)
def test_what_changes_values_makes_another_tensor(name: str):
    assert tied(lambda d, x: together(d.a(x), d.b(OTHER[name](x)))) == set()


def test_a_calibrated_model_has_the_same_groups_and_is_quantized_as_before(small: Detector, pixels: Tensor):
    images = small.preprocessing.normalize(pixels[:8])
    model = quantize(small, Scheme.parse("W4A4"), [images])
    before = {name: value.clone() for name, value in model(images).items()}
    names = [
        {"attention.key.input_quantizer", "attention.query.input_quantizer", "attention.value.input_quantizer"},
        {"classify.input_quantizer", "place.input_quantizer"},
        {"block.conv1.input_quantizer", "block.downsample.0.input_quantizer"},
    ]
    assert sharing(model, images) == sorted(map(frozenset, names), key=sorted)
    assert all(quantizer.active for _, quantizer in quantizers(model))
    assert all(torch.equal(value, before[name]) for name, value in model(images).items())


@cache
def of_shipped(name: str) -> Groups:
    return found(entry(name).build().eval())


@pytest.mark.parametrize("name", TINY)
def test_in_every_shipped_backbone_skips_share_with_the_first_convolution_and_blocks_do_not_share(name: str):
    skips = [group for group in of_shipped(name) if any("downsample" in layer for layer in group)]
    strided = {layer for layer, _ in entry(name).build().named_modules() if layer.endswith("downsample.0")}
    assert len(skips) == len(strided)
    for group in skips:
        (skip,) = (layer for layer in group if layer.endswith("downsample.0"))
        assert skip.replace("downsample.0", "conv1") in group
        assert all(layer == skip or layer.endswith("conv1") or "lateral" in layer for layer in group)


def test_messages_that_pass_through_all_slices_have_the_same_bits():
    messages = {f"scnn_layer.conv_{way}" for way in "durl"}
    assert frozenset({*messages, "classifier.0.conv"}) in of_shipped("scnn-tiny")
    # Those of RESA make a new sum each time.
    assert not any("spatial_conv" in layer for group in of_shipped("resa-tiny") for layer in group)


def test_features_that_are_attended_to_and_put_beside_the_result_have_the_same_bits():
    assert groups("attention_layer mix.right_quantizer cls_layer reg_layer") <= of_shipped("laneatt-tiny")


def test_positions_that_are_added_part_the_values_from_queries_and_keys():
    layer = "transformer.encoder.layers.1.self_attn"
    assert groups(f"{layer}.query {layer}.key") <= of_shipped("lstr-tiny")
    readers = [f"transformer.decoder.layers.{i}.multihead_attn.value" for i in range(2)]
    assert groups(" ".join(readers)) <= of_shipped("lstr-tiny")
