"""Conversion and calibration of a detector of every kind of layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.detectors.lstr import lstr_r18s
from sfcore.errors import InputError
from sfcore.quant import Scheme, calibrate, full_precision, quantize
from sfcore.quant.calibrators import CALIBRATORS, Grid
from sfcore.quant.convert import convert, edge_layers, fold_batch_norm
from sfcore.quant.corrections import bias
from sfcore.quant.corrections.bias import correct_biases
from sfcore.quant.layers import QuantLayer, replacement
from sfcore.quant.quantizers import quantizers
from sfcore.quant.scheme import Bits


def batches(detector: Detector, pixels: Tensor) -> list[Tensor]:
    return list(detector.preprocessing.normalize(pixels).split(8))


def test_folding_keeps_the_outputs_and_leaves_no_batch_norm(small: Detector, pixels: Tensor):
    images = batches(small, pixels)[0]
    before = small(images)
    fold_batch_norm(small, torch.zeros(1, 3, 32, 64))
    after = small(images)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in small.modules())
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=1e-5, rtol=1e-5)


def test_first_and_last_layers_are_found_without_being_named(small: Detector):
    assert edge_layers(small, torch.zeros(1, 3, 32, 64)) == ({"stem"}, {"classify", "place"})


def test_every_layer_is_wrapped_and_edges_stay_at_8_bits(small: Detector):
    model = convert(small, Scheme.parse("W4A4"))
    left = [m for m in model.modules() if type(m) in (nn.Conv2d, nn.Linear, nn.MultiheadAttention)]
    assert not left
    bits = {name: q.bits for name, q in quantizers(model)}
    assert bits["stem.weight_quantizer"] == bits["place.input_quantizer"] == 8
    assert bits["block.conv1.weight_quantizer"] == bits["attention.scores.left_quantizer"] == 4
    assert bits["product.right_quantizer"] == 4


def test_the_branches_of_the_heads_can_get_16_bits():
    detector = lstr_r18s().eval()
    narrow, wide = (convert(detector, Scheme.parse(bits)) for bits in ("W4A4", "W4A4,heads=16"))
    differ = {
        name: b.bits for (name, a), (_, b) in zip(quantizers(narrow), quantizers(wide), strict=True) if a.bits != b.bits
    }
    assert set(differ.values()) == {16}
    assert {name.rpartition(".")[0] for name in differ} == {"class_embed"} | {
        f"{head}_embed.layers.{index}" for head in ("shared", "specific") for index in range(3)
    }


def test_a_scheme_for_layers_that_there_are_not_is_refused(small: Detector):
    with pytest.raises(InputError, match=r"block\.conv3, but no quantized layer .*block\.conv[12]"):
        convert(small, Scheme.parse("W4A4,block.conv3=8"))
    model = convert(small, Scheme.parse("W4A4,block.conv1=W6,attention.mix=8,stem=3"))
    bits = {name: q.bits for name, q in quantizers(model)}
    assert (bits["block.conv1.weight_quantizer"], bits["block.conv1.input_quantizer"]) == (6, 4)
    assert bits["attention.mix.left_quantizer"] == 8 and bits["stem.weight_quantizer"] == 3


def test_a_scheme_may_leave_layers_in_full_precision_but_not_all(small: Detector):
    model = convert(small, Scheme.parse("W4A4,edges=32,block.conv2=32,place=8"))
    left = {"stem", "classify", "block.conv2"}
    assert set(model.full_precision) == left and {"the scheme says so"} == set(model.full_precision.values())
    assert all(type(model.get_submodule(name)) is type(small.get_submodule(name)) for name in left)
    assert "place.weight_quantizer" in dict(quantizers(model))
    with pytest.raises(InputError, match="part of a layer"):
        convert(small, Scheme.parse("W4A4,attention.value=32"))
    with pytest.raises(InputError, match="leaves all layers"):
        convert(small, Scheme.parse("W4A4,*=32"))


def test_without_quantization_the_wrapped_model_computes_the_same(small: Detector, pixels: Tensor):
    images = batches(small, pixels)[0]
    model = convert(small, Scheme.parse("W4A4"))
    with full_precision(model):
        for name, value in model(images).items():
            torch.testing.assert_close(value, small(images)[name], atol=1e-5, rtol=1e-5)


def test_sixteen_bits_are_nearly_exact_and_fewer_are_worse(small: Detector, pixels: Tensor):
    images = batches(small, pixels)

    def error(bits: str) -> float:
        model = quantize(small, Scheme.parse(bits), images, bias_correction=False)
        return float((model(images[0])["column"] - small(images[0])["column"]).square().mean().detach())

    errors = [error(bits) for bits in ("W16A16", "W8A8", "W4A4", "W2A2")]
    assert errors[0] < 1e-5
    assert errors == sorted(errors)


def test_activations_after_relu_or_softmax_are_unsigned(small: Detector, pixels: Tensor):
    model = quantize(small, Scheme.parse("W4A4"), batches(small, pixels))
    assert not model.get_submodule("classify.input_quantizer").signed
    assert not model.get_submodule("attention.mix.left_quantizer").signed
    assert model.get_submodule("attention.mix.right_quantizer").signed
    assert model.get_submodule("stem.input_quantizer").signed


def test_bias_correction_makes_each_layers_mean_the_full_precision_one(small: Detector, pixels: Tensor):
    images = torch.cat(batches(small, pixels))
    full = small(images)["column"].mean(0)
    model = quantize(small, Scheme.parse("W3A3"), [images], bias_correction=False)
    assert (model(images)["column"].mean(0) - full).abs().max() > 0.05
    correct_biases(model, images)
    torch.testing.assert_close(model(images)["column"].mean(0), full, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("largest", "images"), [(5, 5), (5.9, 5), (0.1, 1), (1000, 20)])
def test_biases_are_corrected_on_as_many_images_as_the_memory_of_a_pass_allows(
    small: Detector, pixels: Tensor, largest: float, images: int, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []
    monkeypatch.setattr(bias, "correct_biases", lambda _, images: seen.append(len(images)))
    monkeypatch.setattr(bias, "BIAS_IMAGES", 20)
    monkeypatch.setattr(bias, "BIAS_BYTES", int(largest * 8 * 16 * 32 * 4))  # the stem's map of an image
    quantize(small, Scheme.parse("W8A8"), batches(small, pixels))
    assert seen == [images]


def test_samples_are_kept_together_and_as_they_were(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calibrate, "ROOM", 10)
    room, source = calibrate._Room(), torch.arange(6.0)
    kept = [room.kept(source[:4]), room.kept(source), room.kept(source[:3]), room.kept(torch.arange(20.0))]
    source.zero_()
    assert [values.tolist() for values in kept] == [list(range(count)) for count in (4, 6, 3, 20)]
    places = [values.untyped_storage().data_ptr() for values in kept]
    assert places[0] == places[1] and len(set(places)) == 3  # two fit in the first ten, the last needs more than ten


@pytest.mark.parametrize("helps", [True, False])
def test_biases_are_corrected_only_where_the_lanes_are_the_better_for_it(
    small: Detector, pixels: Tensor, helps: bool, monkeypatch: pytest.MonkeyPatch
):
    def shift_columns(model: nn.Module, _: Tensor) -> None:
        model.get_submodule("place").bias.data.add_(error / 8 if helps else 2.0)  # of 8 px each

    images = batches(small, pixels)
    plain = quantize(small, Scheme.parse("W3A3"), images, bias_correction=False)
    error = (small(images[0])["column"] - plain(images[0])["column"]).mean().detach()
    monkeypatch.setattr("sfcore.quant.corrections.bias.correct_biases", shift_columns)
    chosen = quantize(small, Scheme.parse("W3A3"), images)
    assert torch.equal(chosen.state_dict()["place.bias"], plain.state_dict()["place.bias"]) is not helps


def test_the_detector_given_is_not_changed(small: Detector, pixels: Tensor):
    before = {name: value.clone() for name, value in small.state_dict().items()}
    quantize(small, Scheme.parse("W4A4"), batches(small, pixels))
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())
    assert not any(isinstance(m, QuantLayer) for m in small.modules())


def test_a_calibrated_state_loads_into_a_fresh_conversion(small: Detector, pixels: Tensor):
    images = batches(small, pixels)
    model = quantize(small, Scheme.parse("W4A4"), images)
    fresh = convert(small, Scheme.parse("W4A4"))
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(images[0])["column"], model(images[0])["column"])


def test_calibrators_of_weights_and_activations_are_chosen_apart(small: Detector, pixels: Tensor):
    images = batches(small, pixels)
    model = quantize(small, Scheme.parse("W8A8"), images, "aciq", "minmax", bias_correction=False)
    stem = model.get_submodule("stem")
    aciq = CALIBRATORS["aciq"]([stem.weight.detach().flatten(1)], Grid(-128, 127))
    assert torch.equal(stem.weight_quantizer.scale.flatten(), aciq.scale)
    assert stem.input_quantizer.scale.item() == pytest.approx(max(float(batch.abs().max()) for batch in images) / 127)


def test_a_weight_can_have_one_step_size(small: Detector, pixels: Tensor):
    model = quantize(small, Scheme.parse("W4A4-tensor"), batches(small, pixels), weights="minmax")
    layer = model.get_submodule("block.conv1")
    assert layer.weight_quantizer.scale.shape == (1, 1, 1, 1)
    assert layer.weight_quantizer.scale.item() == pytest.approx(layer.weight.abs().max().item() / 7)


def test_affine_activations_use_all_integers_of_what_lies_off_zero(small: Detector, pixels: Tensor):
    images = [batch + 3 for batch in batches(small, pixels)]  # from about 1 to 5: nowhere negative
    images[0][0, 0, 0, 0] = -1.0
    symmetric, affine = (quantize(small, Scheme.parse(s), images, "omse", "minmax") for s in ("W8A8", "W8A8-affine"))
    first, second = (model.get_submodule("stem.input_quantizer") for model in (symmetric, affine))
    most = max(float(batch.max()) for batch in images)
    assert first.scale.item() == pytest.approx(most / 127) and first.zero is None
    assert second.scale.item() == pytest.approx((most + 1) / 255, rel=1e-5)
    assert second.zero.item() == round(1 / second.scale.item()) and second.limits == (0, 255)
    assert affine.get_submodule("stem").weight_quantizer.zero is None
    restored = convert(small, Scheme.parse("W8A8-affine"))
    restored.load_state_dict(affine.state_dict())
    assert torch.equal(restored(images[0])["column"], affine(images[0])["column"])


def test_affine_and_symmetric_models_do_not_take_each_others_state(small: Detector):
    symmetric, affine = (convert(small, Scheme.parse(s)) for s in ("W8A8", "W8A8-affine"))
    assert not any(name.endswith("zero") for name in symmetric.state_dict())
    with pytest.raises(RuntimeError, match="zero"):
        affine.load_state_dict(symmetric.state_dict())


def test_the_integers_are_read_without_asking_the_device(small: Detector):
    model = convert(small, Scheme.parse("W4A4")).to("meta")
    assert {q.scale.device.type for _, q in quantizers(model)} == {"meta"}
    assert model.get_submodule("stem.input_quantizer").limits == (-128, 127)


def test_weights_that_are_not_finite_are_named(small: Detector, pixels: Tensor):
    small.get_submodule("middle").weight[0, 0] = float("nan")
    with pytest.raises(InputError, match=r"middle\.weight .* not finite"):
        quantize(small, Scheme.parse("W4A4"), batches(small, pixels))


def test_activations_that_are_not_finite_are_named(small: Detector, pixels: Tensor):
    images = batches(small, pixels)
    images[1][0, 0, 0, 0] = float("inf")
    with pytest.raises(InputError, match=r"stem\.input_quantizer .* not finite"):
        quantize(small, Scheme.parse("W4A4"), images)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masked", ["attn_mask", "each head's", "key_padding_mask", "numbers", "both"])
def test_masks_of_attention_are_kept(batch_first: bool, masked: str):
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2, batch_first=batch_first).eval()
    causal = torch.ones(5, 5).triu(1).bool()
    padding = torch.arange(5).expand(3, 5) >= torch.tensor([[3], [4], [5]])
    masks = {
        "attn_mask": {"attn_mask": causal},
        "each head's": {"attn_mask": torch.stack([causal, causal.flip(0, 1)] * 3)},
        "key_padding_mask": {"key_padding_mask": padding},
        "numbers": {"attn_mask": torch.randn(5, 5)},
        "both": {"attn_mask": causal, "key_padding_mask": padding, "average_attn_weights": False},
    }[masked]
    x = torch.randn(3, 5, 8) if batch_first else torch.randn(5, 3, 8)
    build = replacement(layer)
    assert build is not None
    quantized = build(layer, lambda _: Bits(8, 8))
    with full_precision(quantized):
        for found, expected in zip(quantized(x, x, x, **masks), layer(x, x, x, **masks), strict=True):
            torch.testing.assert_close(found, expected)


def test_attention_over_one_sequence_and_of_other_widths_is_quantized():
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2, kdim=3, vdim=5).eval()
    arguments = torch.randn(4, 8), torch.randn(6, 3), torch.randn(6, 5)
    build = replacement(layer)
    assert build is not None
    quantized = build(layer, lambda _: Bits(8, 8))
    with full_precision(quantized):
        for found, expected in zip(quantized(*arguments), layer(*arguments), strict=True):
            torch.testing.assert_close(found, expected)
