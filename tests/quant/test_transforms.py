"""Transforms against outliers: what they choose by their own measure, and what that leaves of the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from benchmarks.transforms import plant
from sfcore.datasets.images import find_images, read_images
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize, threshold_search
from sfcore.quant.convert import convert, example
from sfcore.quant.fidelity import require_same
from sfcore.quant.inference import in_batches
from sfcore.quant.layers import QuantLayer
from sfcore.quant.layers.linear import QuantLinear
from sfcore.quant.norm_readers import Reading, norm_readers
from sfcore.quant.quantizers import full_precision, quantizers
from sfcore.quant.ranges import Ranges
from sfcore.quant.scheme import Bits
from sfcore.quant.threshold_search import Site, search, thresholds
from sfcore.quant.token_extremes import Extremes, token_extremes
from sfcore.quant.transforms import TRANSFORMS, shift_scale, with_usual
from sfcore.quant.transforms.gamma_migration import migrations, ratio
from sfcore.quant.transforms.shift_scale import ShiftScale
from sfcore.quant.transforms.token_clip import clip, error, ratios, span
from tests.detectors.small import Small

GAMMA, SHIFT, CLIP = "gamma-migration", "shift-scale", "token-clip"
LAST = "transformer.decoder.norm"
TINY = [entry.name for entry in registry.entries() if entry.name.endswith("-tiny")]


@pytest.fixture(scope="module")
def lstr_tiny() -> Detector:
    """Shared, so never change it."""
    return registry.create("lstr-tiny")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer thresholds."""
    monkeypatch.setattr(threshold_search, "STEPS", 5)
    monkeypatch.setattr(shift_scale, "COARSE", 3)


def scenes(detector: Detector, source: str) -> list[Tensor]:
    return list(detector.preprocess(read_images(find_images([source]))).split(8))


def quantized(
    detector: Detector,
    scheme: str,
    batches: Sequence[Tensor],
    *transforms: str,
    weights: str = "minmax",
    ranges: str = "minmax",
) -> Detector:
    return quantize(
        detector, Scheme.parse(scheme), batches, weights, ranges, bias_correction=False,
        transforms=with_usual(transforms),
    )  # fmt: skip


def layer_of(model: Detector, name: str) -> QuantLayer:
    layer = model.get_submodule(name)
    assert isinstance(layer, QuantLayer)
    return layer


def test_readers_of_norms_are_found_with_what_is_added(lstr_tiny: Detector) -> None:
    found = norm_readers(convert(lstr_tiny, Scheme(8, 8)), example(lstr_tiny))
    encoder, decoder = "transformer.encoder.layers", "transformer.decoder.layers"
    for reading in (
        Reading(f"{encoder}.0.norm1", f"{encoder}.0.linear1", True),
        Reading(f"{encoder}.0.norm2", f"{encoder}.1.self_attn.value", True),
        Reading(f"{encoder}.0.norm2", f"{encoder}.1.self_attn.query", False),  # with positions
        Reading(f"{encoder}.1.norm2", f"{decoder}.1.multihead_attn.key", False),
        Reading(LAST, "class_embed", True),
    ):
        assert reading in found
    readers = {reading.layer for reading in found}
    assert len(found) == 19 and not any("linear2" in name or "out_proj" in name for name in readers)
    assert f"{encoder}.0.self_attn.value" not in readers  # it reads the image's features


@torch.no_grad()
def test_gammas_move_only_where_outliers_stand_out_less(lstr_tiny: Detector) -> None:
    image = example(lstr_tiny)
    for factor, bias, moves in ((32.0, 32.0, True), (1e-4, 1.0, False), (0.0, 1.0, False)):
        model = convert(lstr_tiny, Scheme(8, 8))
        norm = model.get_submodule(LAST)
        assert isinstance(norm, nn.LayerNorm)
        norm.weight[3] *= factor
        norm.bias[3] *= bias
        with full_precision(model):
            before = model(image)
        columns = layer_of(model, "class_embed").weight.clone()
        said = TRANSFORMS[GAMMA]().fit(model, [image], Scheme(8, 8)) or ()
        layer, gamma = layer_of(model, "class_embed"), norm.weight.abs()
        if moves:
            assert torch.equal(layer.scale, gamma) and torch.equal(layer.weight, columns * gamma)
        else:
            assert layer.scale is None and torch.equal(layer.weight, columns)
        assert any(f"class_embed reads {LAST}" in each and (" stays " in each) != moves for each in said)
        with full_precision(model):
            require_same_outputs(model(image), before)


def require_same_outputs(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for head, value in expected.items():
        assert float((found[head] - value).abs().max()) <= 1e-5 * float(value.abs().max()), head


def test_outliers_stand_out_by_the_largest_over_the_median() -> None:
    assert ratio(torch.tensor([1.0, 8.0, 2.0])) == 4.0
    assert ratio(torch.tensor([0.0, 0.0, 2.0])) == float("inf")


def test_migrations_tell_both_ratios_and_change_nothing(lstr_tiny: Detector) -> None:
    model, image = convert(lstr_tiny, Scheme(8, 8)), example(lstr_tiny)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = {each.layer: each for each in migrations(model, image)}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    seen: list[Tensor] = []
    layer, norm = layer_of(model, "class_embed"), model.get_submodule(LAST)
    with full_precision(model), torch.no_grad():
        handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        model(image)
        handle.remove()
    peaks = seen[0].flatten(0, -2).abs().amax(0)
    assert found["class_embed"].before == pytest.approx(ratio(peaks))
    assert isinstance(norm.weight, Tensor)
    assert found["class_embed"].after == pytest.approx(ratio(peaks / norm.weight.abs()))


def test_thresholds_are_published_but_for_small_activations() -> None:
    large, small = thresholds(80.0), thresholds(2.0)
    assert (len(large), large[0], large[-1]) == (160, 80.0, 1.0)  # a step for each 0.5
    assert (len(small), small[0]) == (100, 2.0) and small[-1] == pytest.approx(0.2)
    assert thresholds(0.0) == [1.0]


def outlying(bits: int) -> tuple[Site, QuantLinear, Tensor]:
    """A linear layer one channel of whose input is large, and another far from 0; its quantizers are off."""
    torch.manual_seed(0)
    layer = QuantLinear(nn.Linear(8, 16), lambda _: Bits(bits, bits)).requires_grad_(False)
    layer.input_quantizer.active = layer.weight_quantizer.active = False
    x = torch.randn(256, 8) * torch.tensor([30.0, 1, 1, 1, 1, 1, 1, 1]) + torch.tensor([0.0, 20, 0, 0, 0, 0, 0, 0])
    low, high = x.aminmax(dim=0)
    return Site({"layer": layer}, low, high, lambda: layer(x)), layer, x


@torch.no_grad()
@pytest.mark.parametrize("bits", [4, 8])
def test_the_search_mends_outliers_and_leaves_the_site_as_it_was(bits: int) -> None:
    site, layer, x = outlying(bits)
    expected, weight, bias = layer(x), layer.weight.clone(), layer.bias.clone()
    found = search(site, expected)
    assert torch.equal(layer.weight, weight) and torch.equal(layer.bias, bias) and layer.scale is None
    assert torch.equal(layer(x), expected)
    assert found.shift is not None and float(found.shift[1]) == pytest.approx(20, abs=1.5)
    assert int(found.scale.argmax()) == 0 and float(found.scale.min()) == 1.0
    site.quantize(found.shift, found.scale)
    assert float((layer(x) - expected).square().mean()) == pytest.approx(found.after, rel=1e-4)
    assert found.after < 0.4 * found.before


@torch.no_grad()
def test_where_nothing_helps_nothing_is_done() -> None:
    site, layer, _ = outlying(8)
    same = replace(site, output=lambda: torch.zeros(3))
    found = search(same, torch.ones(3))
    assert found.shift is None and bool((found.scale == 1).all()) and str(found) == "left as it is"
    same.quantize(found.shift, found.scale)
    assert layer.shift is layer.scale is None


@torch.no_grad()
@pytest.mark.parametrize("name", TINY)
def test_fitted_transforms_leave_every_head_as_it_is(name: str, quick: None) -> None:
    detector = registry.create(name)
    model, images = convert(detector, Scheme(8, 8)), example(detector)
    for transform in (GAMMA, SHIFT):
        said = TRANSFORMS[transform]().fit(model, [images], Scheme(8, 8))
        assert said is not None
    with full_precision(model):
        require_same_outputs(model(images), detector(images))
    changed = [layer for layer in model.modules() if isinstance(layer, QuantLayer) and layer.scale is not None]
    assert len(changed) > 3 and all(q.active for _, q in quantizers(model))
    assert all(layer.shift is None or layer.shiftable for layer in changed)


@torch.no_grad()
def test_queries_and_keys_of_one_tensor_share_what_is_found(lstr_tiny: Detector, quick: None) -> None:
    model, images = convert(lstr_tiny, Scheme(8, 8)), example(lstr_tiny)
    ShiftScale().fit(model, [images], Scheme(8, 8))
    parts = [layer_of(model, f"transformer.encoder.layers.0.self_attn.{part}") for part in ("query", "key", "value")]
    query, key, value = (part.scale for part in parts)
    assert query is not None and key is not None and torch.equal(query, key)
    assert value is None or not torch.equal(query, value)  # it reads a tensor without positions


@pytest.mark.parametrize("scheme", ["W8A8", "W4A4-affine", "W6A6-portable"])
def test_a_saved_model_with_all_transforms_is_the_same_to_the_bit(
    small: Small, pixels: Tensor, scheme: str, quick: None
) -> None:
    images = small.preprocessing.normalize(pixels)
    model = quantized(small, scheme, list(images.split(8)), GAMMA, SHIFT, CLIP)
    assert {note.partition(":")[0] for note in model.transform_notes} == {SHIFT, CLIP}
    again = convert(small, Scheme.parse(scheme), model.transformed_by)
    again.load_state_dict(model.state_dict())
    assert all(torch.equal(value, again(images)[head]) for head, value in model(images).items())
    with full_precision(again):
        require_same(small, again, images)


def test_the_ends_of_tokens_are_those_of_the_quantiles() -> None:
    low, high = torch.tensor([-1.0, -2.0, -9.0, 1.0, -3.0]), torch.tensor([3.0, 8.0, 4.0, 2.0, -30.0])
    tokens = Extremes(low, high)
    assert tokens.ends(1.0).tolist() == [-9.0, 8.0]
    # Quantiles of 1, 1, 2, 3, 9 and of 2, 3, 4, 8, 30 at 0.75 are 3 and 8; -30 is no large value, but counts as one.
    assert tokens.ends(0.75).tolist() == [-3.0, 8.0]
    assert tokens.ends(0.5).tolist() == [-2.0, 4.0]


@torch.no_grad()
def test_tokens_are_what_one_product_sums_and_softmaxes_are_left_out(small: Small, pixels: Tensor) -> None:
    images = small.preprocessing.normalize(pixels)
    model = quantized(small, "W8A8", [images])
    names = {quantizer: name for name, quantizer in quantizers(model)}
    seen: dict[str, Tensor] = {}
    chosen = [q for name, q in quantizers(model) if "weight" not in name]
    handles = [q.register_forward_pre_hook(lambda q, given: seen.update({names[q]: given[0]})) for q in chosen]
    found = {names[quantizer]: tokens for quantizer, tokens in token_extremes(model, [images]).items()}
    for handle in handles:
        handle.remove()
    assert seen.keys() - found.keys() == {"attention.mix.left_quantizer", "product.left_quantizer"}
    stem, keys = seen["stem.input_quantizer"], seen["attention.scores.right_quantizer"]
    assert float(found["stem.input_quantizer"][0].high.max()) == float(stem.max())
    places = stem.amax(1).flatten()
    assert found["stem.input_quantizer"][0].high[1].item() == places[len(places) // 1024 + 1].item()
    tokens = keys.amax(-2).flatten()  # (B, heads, channels, tokens)
    assert len(found["attention.scores.right_quantizer"][0].high) == len(tokens[:: len(tokens) // 1024 + 1]) + 1


@torch.no_grad()
@pytest.mark.parametrize(
    ("scheme", "ranges"), [("W4A4", "minmax"), ("W4A4", "omse"), ("W4A4-affine", "minmax"), ("W6A6", "omse")]
)
def test_clipping_is_never_worse_at_the_outputs(small: Small, pixels: Tensor, scheme: str, ranges: str) -> None:
    images = small.preprocessing.normalize(pixels)
    batches, expected = list(images.split(8)), small(images)

    def loss(model: Detector) -> float:
        with full_precision(model, only="weight_quantizer"):
            return error(in_batches(model, batches), expected)

    plain = quantized(small, scheme, batches, ranges=ranges)
    clipped = quantized(small, scheme, batches, CLIP, ranges=ranges)
    whole = quantized(small, scheme, batches, ranges=ranges)
    clip(token_extremes(whole, batches), 1.0)
    assert loss(clipped) <= min(loss(plain), loss(whole)) + 1e-9
    own = [(name, q.signed) for name, q in quantizers(plain)]
    assert [(name, q.signed) for name, q in quantizers(clipped)] == own
    if loss(clipped) >= loss(plain):
        pairs = zip(quantizers(clipped), quantizers(plain), strict=True)
        assert all(torch.equal(one.scale, other.scale) for (_, one), (_, other) in pairs)


@torch.no_grad()
@pytest.mark.parametrize(("affine", "negative"), [(False, True), (False, False), (True, True)])
def test_a_clipped_range_ends_where_it_says(affine: bool, negative: bool) -> None:
    layer = QuantLinear(nn.Linear(4, 4), lambda _: Bits(8, 8, affine=affine))
    quantizer = layer.input_quantizer
    quantizer.set_range(torch.tensor(1.0), signed=negative and not affine, zero=torch.tensor(0.0))
    low = torch.tensor([-1.0, -3.0] if negative else [0.0, 0.0])
    batches = [Extremes(low, torch.tensor([2.0, 5.0])), Extremes(low, torch.tensor([2.0, 9.0]))]
    clip({quantizer: batches}, 1.0)
    values = quantizer(torch.tensor([-100.0, 100.0]))  # the highest ends are averaged: 7, and -3
    least = (-7.0 * 128 / 127 if not affine else -3.0) if negative else 0.0
    assert values[1].item() == pytest.approx(7.0, abs=0.03) and values[0].item() == pytest.approx(least, abs=0.03)


def test_ratios_reach_as_far_as_published() -> None:
    assert [span(bits) for bits in (2, 4, 6, 8, 16)] == pytest.approx([0.9, 0.9, 0.3, 0.1, 0.1])
    assert span(5) == pytest.approx(0.6) and ratios(8)[0] == 1.0 and ratios(6)[-1] == pytest.approx(0.7)


def test_ranges_of_any_bits_take_shifts_and_scales_but_no_clipping(small: Small, pixels: Tensor, quick: None) -> None:
    batches = list(small.preprocessing.normalize(pixels).split(8))
    names = with_usual([SHIFT])
    ranges = Ranges.of(small, Scheme.parse("W4A4"), batches, "minmax", "minmax", names)
    expected, images = quantized(small, "W4A4", batches, SHIFT), batches[0]
    for head, value in ranges.quantized(Scheme.parse("W4A4"))(images).items():
        assert torch.equal(value, expected(images)[head])
    assert ranges.key != Ranges.of(small, Scheme.parse("W8A8"), batches, "minmax", "minmax", names).key
    with pytest.raises(InputError, match=r"token-clip chooses the ranges of one scheme.*leave it out"):
        Ranges.of(small, Scheme.parse("W4A4"), batches, transforms=with_usual([CLIP]))


def test_transforms_are_asked_for_once() -> None:
    assert with_usual([]) == ("fold-batch-norm",)
    assert with_usual([SHIFT, "fold-batch-norm"]) == (SHIFT, "fold-batch-norm")
    with pytest.raises(InputError, match="shift-scale is named twice"):
        with_usual([SHIFT, SHIFT])


@torch.no_grad()
@pytest.mark.slow
def test_planted_outliers_are_mended() -> None:
    """On 24 scenes it falls from 21.6 to 5.8, and was 6.2 before anything was planted."""
    detector = registry.create("lstr-tiny")
    image = example(detector)
    before = detector(image)
    planted = plant(detector)(image)
    assert all(torch.equal(planted[head], value) for head, value in before.items())
    batches, judged = scenes(detector, "scenes:8"), scenes(detector, "scenes:16,seed=51000000")
    reference = detector.decode(in_batches(detector, judged))
    found = []
    for transforms in ((), (GAMMA,)):
        model = quantized(detector, "W8A8", batches, *transforms, weights="omse")
        found.append(detector.task.agreement(reference, model.decode(in_batches(model, judged))).distortion)
    assert found[0] > 12 and found[1] < found[0] / 2
