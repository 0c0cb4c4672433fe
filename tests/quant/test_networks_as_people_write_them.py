"""What is folded, replaced and left of networks in the idioms that people use, and that tuning goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant import Scheme, full_precision, quantize
from sfcore.quant.convert import convert, fold_batch_norm
from sfcore.quant.fidelity import worst_head
from sfcore.quant.layers import QuantLayer
from sfcore.quant.methods import METHODS
from sfcore.quant.quantizers import quantizers
from sfcore.quant.reconstruct.engine import Tuner
from tests.detectors.user_made import USER_MADE, TwoColumns

W8A8 = Scheme.parse("W8A8")


@pytest.fixture(params=list(USER_MADE))
def user_made(request: pytest.FixtureRequest) -> Detector:
    return USER_MADE[request.param]().eval().requires_grad_(False)


class Written(TwoColumns):
    """Made of two layers and a norm, put together by ``flow``."""

    width = 8

    def __init__(self, flow: Callable[[Written, Tensor], Tensor], **layers: nn.Module) -> None:
        self.flow, self.layers = flow, layers
        super().__init__()
        self.eval().requires_grad_(False)

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("flow", "layers"):
            vars(self)[name] = value
        else:
            super().__setattr__(name, value)

    def build(self) -> None:
        self.stem, self.conv, self.norm = nn.Conv2d(3, 8, 3, 4, 1), nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8)
        for name, layer in self.layers.items():
            setattr(self, name, layer)
        del vars(self)["layers"]

    def features(self, images: Tensor) -> Tensor:
        return self.flow(self, torch.relu(self.stem(images))).mean((2, 3))


def apart(detector: Detector, model: Detector) -> float:
    images = detector.preprocess([render(seed).image for seed in (3, 4)])
    with torch.no_grad(), full_precision(model):
        return worst_head(detector(images), model(images))[1]


def norms(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]


def test_a_norm_is_folded_once_into_a_tower_that_several_levels_share():
    detector = Written(
        lambda d, x: d.norm(d.conv(x)) + functional.interpolate(d.norm(d.conv(x[..., ::2])), x.shape[2:])
    )
    model = convert(detector, W8A8)
    assert not norms(model) and not model.full_precision
    assert apart(detector, model) < 1e-5


def flows(**each: Callable[[Written, Tensor], Tensor]) -> list[object]:
    return [pytest.param(flow, id=name) for name, flow in each.items()]


def written_to(d: Written, x: Tensor) -> Tensor:
    y = d.conv(x)
    y.relu_()
    return d.norm(y)


def skipped(d: Written, x: Tensor) -> Tensor:
    y = d.conv(x)
    return y + torch.relu(d.norm(y))


def kept_apart(d: Written, x: Tensor) -> Tensor:
    y = d.conv(x)
    first, second = d.norm(y), d.norm(y)
    return first.mul_(0.5) + second


@pytest.mark.parametrize(
    "flow",
    flows(
        skip=skipped,
        in_place=written_to,
        two_calls=kept_apart,
        part=lambda d, x: d.norm(torch.cat([d.conv(x)[:, 4:], x[:, 4:]], 1)),
        elsewhere=lambda d, x: d.norm(d.conv(x)) + d.norm(x),
        weight=lambda d, x: d.norm(d.conv(x)) + functional.conv2d(x, d.conv.weight, padding=1),
    ),
)
def test_a_norm_that_something_else_would_notice_is_left_and_said(flow: Callable[[Written, Tensor], Tensor]):
    detector = Written(flow)
    model = convert(detector, W8A8)
    assert norms(model) == ["norm"] and "norm" in model.full_precision
    assert apart(detector, model) < 1e-5


def test_folding_into_grouped_transposed_convolutions_and_linear_layers_keeps_the_outputs():
    torch.manual_seed(0)
    grouped = nn.Sequential(nn.ConvTranspose2d(6, 8, 3, 2, 1, groups=2), nn.BatchNorm2d(8))
    linear = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, affine=False))
    line = nn.Sequential(nn.Conv1d(6, 8, 3), nn.BatchNorm1d(8))
    for layers, x in ((grouped, (2, 6, 5, 7)), (linear, (2, 6)), (line, (2, 6, 9))):
        nn.init.uniform_(layers[1].running_mean, -0.5, 0.5)
        nn.init.uniform_(layers[1].running_var, 0.5, 2.0)
        values = torch.randn(x)
        expected = layers.eval()(values)
        assert fold_batch_norm(layers, values) == {}
        assert isinstance(layers[1], nn.Identity)
        torch.testing.assert_close(layers(values), expected, atol=1e-5, rtol=1e-5)


def test_a_norm_over_positions_is_not_folded_into_a_linear_layer():
    layers = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(4)).eval()
    nn.init.uniform_(layers[1].running_var, 0.5, 2.0)
    assert list(fold_batch_norm(layers, torch.randn(2, 4, 6))) == ["1"]


@pytest.mark.parametrize(
    "normalise",
    [
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        lambda conv: nn.utils.prune.random_unstructured(conv, "weight", 0.3),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weights_that_are_computed_are_quantized_as_they_are(normalise: Callable[[nn.Module], nn.Module]):
    detector = Written(lambda d, x: torch.relu(d.norm(d.conv(x))), conv=normalise(nn.Conv2d(8, 8, 3, 1, 1)))
    before = type(detector.conv)
    model = convert(detector, W8A8)
    assert isinstance(model.get_submodule("conv"), QuantLayer) and not norms(model) and not model.full_precision
    assert apart(detector, model) < 1e-5
    assert type(detector.conv) is before and len(convert(detector, W8A8).full_precision) == 0


class Standardized(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return functional.conv2d(input, weight, self.bias, padding=self.padding)


class Renamed(nn.Conv2d):
    """Nothing but a name."""


def hooked() -> nn.Module:
    conv = nn.Conv2d(8, 8, 3, 1, 1)
    conv.register_forward_hook(lambda _, __, output: output.clamp(-1, 1))
    return conv


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Standardized(8, 8, 3, padding=1), "changes forward of Conv2d"),
        (hooked(), "hooks of its own"),
        (Renamed(8, 8, 3, 1, 1), ""),
        (nn.Conv2d(8, 8, 3, padding="same", padding_mode="reflect"), ""),
        (nn.ConvTranspose2d(8, 8, 3, 1, 1, groups=4), ""),
    ],
)
def test_a_layer_is_quantized_as_it_is_or_left_and_said(layer: nn.Module, why: str):
    detector = Written(lambda d, x: d.norm(torch.relu(d.conv(x))), conv=layer)
    model = convert(detector, W8A8)
    assert isinstance(model.get_submodule("conv"), QuantLayer) is not bool(why)
    assert why in model.full_precision.get("conv", "")
    assert apart(detector, model) < 1e-5


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("norm", [None, nn.LayerNorm(8)])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_an_encoder_that_packs_padded_sequences_is_quantized(ends: bool, norm: nn.Module | None):
    def flow(d: Written, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        padded = torch.arange(tokens.shape[1]).expand(tokens.shape[:2]) >= tokens.shape[1] - 9
        return d.encoder(tokens, src_key_padding_mask=padded if ends else padded.flip(1)).transpose(1, 2).unsqueeze(3)

    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    detector = Written(flow, encoder=nn.TransformerEncoder(layer, 2, norm))
    model = convert(detector, W8A8)
    assert not model.full_precision and "encoder.layers.1.linear2.input_quantizer" in dict(quantizers(model))
    assert apart(detector, model) < 1e-5


def test_a_network_that_does_not_run_is_said_in_one_line():
    detector = Written(lambda d, x: d.conv(x) @ x)
    with pytest.raises(InputError, match="Written cannot be quantized, for a copy of it does not run"):
        convert(detector, W8A8)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated")
def test_scripted_parts_stay_and_are_said():
    detector = Written(lambda d, x: d.conv(d.part(x)), part=torch.jit.script(nn.Sequential(nn.Conv2d(8, 8, 1))))
    model = convert(detector, W8A8)
    assert list(model.full_precision) == ["forward"] and isinstance(model.get_submodule("conv"), QuantLayer)
    assert apart(detector, model) < 1e-5


def test_layers_in_half_precision_stay_and_are_said():
    detector = Written(lambda d, x: d.conv(d.coarse(x.bfloat16()).float()), coarse=nn.Conv2d(8, 8, 1).bfloat16())
    model = convert(detector, W8A8)
    assert list(model.full_precision) == ["coarse"] and "bfloat16" in model.full_precision["coarse"]
    assert apart(detector, model) < 1e-5


def test_what_a_detector_multiplies_itself_is_said():
    detector = Written(
        lambda d, x: functional.conv2d(d.conv(x), d.weight),
        weight=nn.Parameter(torch.randn(8, 8, 1, 1)),  # type: ignore[arg-type]
    )
    assert list(convert(detector, W8A8).full_precision) == ["forward"]


def test_a_layer_is_replaced_under_all_its_names_and_in_plain_lists():
    detector = Written(lambda d, x: d.again(torch.relu(d.hidden[0](x))))
    detector.again, detector.hidden = detector.conv, [detector.conv]
    model = convert(detector, W8A8)
    assert model.again is model.conv is model.hidden[0] and isinstance(model.conv, QuantLayer)
    assert apart(detector, model) < 1e-5


def test_a_detector_that_writes_into_its_input_is_refused():
    detector = Written(lambda d, x: d.conv(x))
    detector.features = lambda images: detector.stem(images.mul_(2)).mean((2, 3))  # type: ignore[method-assign]
    with pytest.raises(InputError, match="writes into its input"):
        convert(detector, W8A8)


def test_a_copy_that_computes_something_else_is_refused_by_the_module(monkeypatch: pytest.MonkeyPatch):
    detector = Written(lambda d, x: d.norm(torch.relu(d.conv(x))))
    model = convert(detector, W8A8)
    model.get_submodule("norm").bias.data += 1.0
    monkeypatch.setattr("sfcore.quant.pipeline.convert", lambda *_: model)
    images = detector.preprocess([render(3).image])
    with pytest.raises(InputError, match="beginning at the module norm"):
        quantize(detector, W8A8, [images])


def test_a_layer_that_no_calibration_image_leads_through_rounds_nothing():
    def flow(d: Written, x: Tensor) -> Tensor:
        return d.conv(x) if x.mean() < d.least else d.conv(d.other(x))

    detector = Written(flow, other=nn.Conv2d(8, 8, 1))
    detector.least = 1e9
    model = quantize(detector, W8A8, [detector.preprocess([render(3).image])])
    unknown = [name for name, quantizer in quantizers(model) if not quantizer.known]
    assert unknown == ["other.input_quantizer"]
    loaded = convert(detector, W8A8)
    loaded.load_state_dict(model.state_dict())
    loaded.least = detector.least = -1e9
    quantizer = loaded.get_submodule("other.input_quantizer")
    x = torch.randn(3)
    assert not quantizer.known and torch.equal(quantizer(x), x)


@pytest.mark.parametrize("method", ["best", "qdrop", "adaround"])
def test_user_made_detectors_are_tuned(user_made: Detector, method: str):
    pixels = user_made.preprocessing.stack([render(seed).image for seed in range(4)])
    batches = list(user_made.preprocessing.normalize(pixels).split(2))
    model = quantize(user_made, Scheme.parse("W4A4"), batches, bias_correction=False)
    known = {field.name for field in fields(METHODS[method])}
    options = {"iterations": 2, "batch": 2, "check_every": 2}
    recipe = METHODS[method](**{name: value for name, value in options.items() if name in known})
    tuner = Tuner(user_made, model, pixels[:3], pixels[3:], recipe)
    while not tuner.done:
        tuner.step()
    assert all(torch.isfinite(value).all() for name, value in model.state_dict().items() if "scale" not in name)
