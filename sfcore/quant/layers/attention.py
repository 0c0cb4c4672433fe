"""Quantized multi-head attention: its four projections and its two matrix products."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sfcore.detectors.layers import MatMul
from sfcore.errors import InputError
from sfcore.quant.layers.base import BitsOf, wraps
from sfcore.quant.layers.linear import QuantLinear
from sfcore.quant.layers.matmul import QuantMatMul


@wraps(nn.MultiheadAttention)
class QuantMultiheadAttention(nn.Module):
    """Replaces ``nn.MultiheadAttention``; masks are added to the product of queries and keys, in full precision.

    Attributes:
        in_proj_weight, in_proj_bias, _qkv_same_embed_dim: what torch's Transformer layers look at before they compute
            everything in one fused call of their own; these values keep them from it.

    Raises:
        InputError: the layer uses features that are not quantized: tokens of bias or zeros.
    """

    in_proj_weight = in_proj_bias = None
    _qkv_same_embed_dim = False

    def __init__(self, layer: nn.MultiheadAttention, bits_of: BitsOf) -> None:
        super().__init__()
        if layer.bias_k is not None or layer.add_zero_attn:
            raise InputError("attention with tokens of bias or zeros of its own is not quantized")
        self.num_heads, self.embed_dim, self.batch_first = layer.num_heads, layer.embed_dim, layer.batch_first
        separate = (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
        weights = separate if layer.in_proj_weight is None else layer.in_proj_weight.chunk(3)
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
        return x.unflatten(-1, (self.num_heads, self.embed_dim // self.num_heads)).transpose(1, 2)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As ``nn.MultiheadAttention``. ``is_causal`` only says of ``attn_mask`` what it holds."""
        if alone := query.ndim == 2:
            query, key, value = (x.unsqueeze(0) for x in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
        q, k, v = self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(value))
        scores = self.scores(q / math.sqrt(self.embed_dim // self.num_heads), k.transpose(-2, -1))
        if attn_mask is not None:
            added = _added(attn_mask, scores)
            scores = scores + (added if added.ndim == 2 else added.unflatten(0, (-1, self.num_heads)))
        if key_padding_mask is not None:
            scores = scores + _added(key_padding_mask, scores)[:, None, None, :]
        weights = scores.softmax(-1)
        out = self.out_proj(self.mix(weights, v).transpose(1, 2).flatten(2))
        if alone:
            out, weights = out.squeeze(0), weights.squeeze(0)
        elif not self.batch_first:
            out = out.transpose(0, 1)
        if not need_weights:
            return out, None
        return out, weights.mean(-3) if average_attn_weights else weights


def _added(mask: Tensor, scores: Tensor) -> Tensor:
    """What a mask adds to scores: itself, or -∞ where it is true."""
    if mask.dtype != torch.bool:
        return mask.to(scores.dtype)
    return torch.zeros_like(mask, dtype=scores.dtype).masked_fill(mask, float("-inf"))


def _part(bits_of: BitsOf, name: str) -> BitsOf:
    return lambda _: bits_of(name)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer
