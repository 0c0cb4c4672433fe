"""Quantized multi-head attention: its four projections and its two matrix products."""

from __future__ import annotations

import math

from torch import Tensor, nn

from sfcore.detectors.layers import MatMul
from sfcore.errors import InputError
from sfcore.quant.layers.base import BitsOf, wraps
from sfcore.quant.layers.linear import QuantLinear
from sfcore.quant.layers.matmul import QuantMatMul


@wraps(nn.MultiheadAttention)
class QuantMultiheadAttention(nn.Module):
    """Replaces ``nn.MultiheadAttention`` with one embedding width and no masks.

    Raises:
        InputError: the layer uses features that are not quantized (own key or value widths, bias tokens).
    """

    def __init__(self, layer: nn.MultiheadAttention, bits_of: BitsOf) -> None:
        super().__init__()
        if layer.in_proj_weight is None or layer.bias_k is not None or layer.add_zero_attn:
            raise InputError("attention with own key widths or bias tokens is not quantized: use plain attention")
        self.heads, self.width, self.batch_first = layer.num_heads, layer.embed_dim, layer.batch_first
        weights = layer.in_proj_weight.chunk(3)
        biases = (None,) * 3 if layer.in_proj_bias is None else layer.in_proj_bias.chunk(3)
        self.query, self.key, self.value = (
            QuantLinear(_linear(weight, bias), _part(bits_of, name))
            for name, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True)
        )
        self.out_proj = QuantLinear(layer.out_proj, _part(bits_of, "out_proj"))
        self.scores = QuantMatMul(MatMul(), _part(bits_of, "scores"))
        self.mix = QuantMatMul(MatMul(), _part(bits_of, "mix"))

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, heads, N, C / heads)."""
        return x.unflatten(-1, (self.heads, self.width // self.heads)).transpose(1, 2)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = True, **options: object
    ) -> tuple[Tensor, Tensor | None]:
        """As ``nn.MultiheadAttention``.

        Raises:
            InputError: a mask is given.
        """
        if any(option is not None and option is not False for option in options.values()):
            raise InputError(f"attention is called with {sorted(options)}: masks are not quantized, call it without")
        if not self.batch_first:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
        q, k, v = self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(value))
        weights = self.scores(q / math.sqrt(self.width // self.heads), k.transpose(-2, -1)).softmax(-1)
        out = self.out_proj(self.mix(weights, v).transpose(1, 2).flatten(2))
        out = out if self.batch_first else out.transpose(0, 1)
        return out, weights.mean(1) if need_weights else None


def _part(bits_of: BitsOf, name: str) -> BitsOf:
    return lambda _: bits_of(name)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer
