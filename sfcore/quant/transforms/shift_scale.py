"""Channel-wise shifting and scaling of what layers quantize (Wei et al. 2023, Outlier Suppression+).

A layer quantizes X̃ = (X - z) / s, channel by channel, and its weight and bias undo it: W̃ = W ⊙ s, b̃ = b + W z
(eq. 5). The shift z makes each channel's range symmetric, the scale s shrinks the channels that stick out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.quant.capture import tensors_in, watching
from sfcore.quant.flow import memory_of
from sfcore.quant.hooks import hooks
from sfcore.quant.layers import QuantLayer
from sfcore.quant.layers.attention import QuantMultiheadAttention
from sfcore.quant.quantizers import full_precision
from sfcore.quant.scheme import Scheme
from sfcore.quant.threshold_search import Site, search
from sfcore.quant.transforms import TRANSFORMS, Transform

FRAMES = 8  # of the first batch, that shifts, scales and losses are found on
PLACES = 2048  # tokens that the loss of a linear layer is found on
PICTURES = 2  # frames that the loss of a convolution is found on
COARSE = 25  # thresholds that are tried where a trial takes long: of convolutions and attentions


@TRANSFORMS.register("shift-scale")
class ShiftScale(Transform):
    """Shifts and scales what each layer quantizes, channel by channel, so that least of its output is lost.

    Published (sections 4.1 and 4.2): z_j = (max X_j + min X_j) / 2; s_j = max(1, max|X_j - z_j| / t) with one threshold
    t a site, the best of a grid from T₀ = max|X - z| down to 1 in max(100, ⌊T₀ / 0.5⌋) values, both ends included. It
    is judged by the squared error of the site's output, activations on (-t, t) and weights min-max, both at their bits:
    softmax(q kᵀ) v where an attention reads a tensor, X Wᵀ where a linear layer does. Sites are fitted in running order
    on the first batch, each reading what the quantized ones before it put out.

    Ours: the grid ends at T₀ / 10 where that is below 1, for networks of small activations; the search is also made
    without a shift, and where neither saves 1 % of the error nothing is changed; queries, keys and values of an
    attention that read different tensors have a scale each, found one after the other; convolutions too, with a shift
    only where nothing is padded with zeros. Of convolutions and attentions 25 thresholds are tried. At most 8 frames
    are looked at (for the loss, 2 of a convolution, 2048 tokens of a linear layer). Products of two activations stay in
    full precision meanwhile. What runs several times in a pass stays as it is.
    """

    @torch.no_grad()
    def fit(self, model: Detector, batches: Sequence[Tensor], scheme: Scheme) -> list[str]:
        images = batches[0][:FRAMES]
        return _Fitting(model, _run_once(model, images[:1])).run(images)


class _Fitting:
    """One forward pass in which each site is fitted, and quantized, when it is called.

    Args:
        places: the modules that may be sites, with their names.
    """

    def __init__(self, model: Detector, places: dict[nn.Module, str]) -> None:
        self.model, self.places = model, places
        self.done: set[nn.Module] = set()
        self.resting = False  # while a site is tried out
        self.said: list[str] = []

    def run(self, images: Tensor) -> list[str]:
        """Fit all sites; returns what was done, as sentences."""
        with full_precision(self.model), watching(self.places, self._before, lambda *_: None):
            self.model(images)
        return self.said

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self.resting or module in self.done:
            return
        self.resting = True
        if isinstance(module, QuantMultiheadAttention):
            self._attention(module, partial(module.forward, *args, **kwargs))
        elif isinstance(module, QuantLayer):
            self._layer(module, args, kwargs)
        self.resting = False

    def _layer(self, layer: QuantLayer, args: Any, kwargs: Any) -> None:
        """A convolution or a linear layer outside of an attention's projections."""
        x = tensors_in((args, kwargs))[0]
        more = {name: value for name, value in kwargs.items() if name != "input"}
        some = _some(layer, x)
        output: Callable[[], Tensor] = partial(layer.forward, some, *args[1:], **more)
        self._fit([layer], x, output, output(), COARSE if layer.weight.ndim > 2 else None)

    def _attention(self, attention: QuantMultiheadAttention, forward: Callable[[], Any]) -> None:
        """Those of queries, keys and values that read the same tensor are a site."""
        read: dict[Any, list[QuantLayer]] = {}
        inputs: dict[Any, Tensor] = {}

        def see(layer: QuantLayer, given: Any) -> None:
            what = memory_of(given[0]), given[0].shape, given[0].stride(), given[0].storage_offset()
            read.setdefault(what, []).append(layer)
            inputs[what] = given[0]

        def output() -> Tensor:
            mixed: list[Tensor] = []
            with hooks([attention.out_proj], before=lambda _, given: mixed.append(given[0])):
                forward()
            return mixed[0]

        with hooks([attention.query, attention.key, attention.value], before=see):
            expected = output()
        for what, layers in read.items():
            self._fit(layers, inputs[what], output, expected, COARSE)

    def _fit(
        self,
        layers: Sequence[QuantLayer],
        x: Tensor,
        output: Callable[[], Tensor],
        expected: Tensor,
        steps: int | None = None,
    ) -> None:
        """Find what is best for layers that read ``x``, and quantize them so for those that come after."""
        named = {self.places[layer]: layer for layer in layers}
        low, high = layers[0].presented(x).movedim(layers[0].channel_axis, 0).flatten(1).aminmax(dim=1)
        site = Site(named, low, high, output, steps)
        found = search(site, expected)
        site.quantize(found.shift, found.scale)
        self.done.update(layers)
        self.said.append(f"{', '.join(named)}: {found}")


def _some(layer: QuantLayer, x: Tensor) -> Tensor:
    """The part of a layer's input that its loss is found on."""
    if layer.weight.ndim == 2:
        tokens = x.reshape(-1, x.shape[-1])
        return tokens[:: len(tokens) // PLACES + 1]
    return x[:PICTURES] if x.ndim == layer.weight.ndim else x


def _run_once(model: Detector, image: Tensor) -> dict[nn.Module, str]:
    """The layers and attentions that run once in a pass, with their names."""
    kinds = (QuantLayer, QuantMultiheadAttention)
    names = {module: name for name, module in model.named_modules() if isinstance(module, kinds)}
    calls: Counter[nn.Module] = Counter()
    with full_precision(model), watching(names, lambda module, *_: calls.update([module]), lambda *_: None):
        model(image)
    return {module: name for module, name in names.items() if calls[module] == 1}
