"""Making a network's layers plain: their weights stand for themselves, and each layer is called."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


@torch.no_grad()
def make_plain(model: nn.Module) -> None:
    """Replace what computes weights in evaluation by the weights themselves, and undo fused calls; in place.

    Weight normalisation, spectral normalisation, pruning and any other parametrization give the same weight at each
    call in evaluation. Transformer layers of torch compute everything in one fused call there, past their own layers.
    """
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            _without_parametrizations(module)
        _without_hooks(module)
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        if type(module) is nn.TransformerEncoder and module.use_nested_tensor:
            module.__class__ = UnfusedEncoder
    model.requires_grad_(False)


class UnfusedEncoder(nn.TransformerEncoder):
    """What ``nn.TransformerEncoder`` computes in evaluation, where it packs sequences without what is padded at their
    ends, layer by layer: what is padded comes out as 0."""

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """As in torch. ``is_causal`` only says of ``mask`` what it holds."""
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, src_key_padding_mask=src_key_padding_mask)
        if src_key_padding_mask is not None and src.ndim == 3:
            padded = src_key_padding_mask != 0
            at_ends = (padded[:, 1:] >= padded[:, :-1]).all()  # else torch does not pack, and computes all positions
            x = x.masked_fill((padded & at_ends).unsqueeze(-1), 0.0)
        return x if self.norm is None else self.norm(x)


def _without_hooks(module: nn.Module) -> None:
    """Undo what computes a weight anew before each call; the weight stays as it is computed now."""
    hook: Any
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)


def _without_parametrizations(module: nn.Module) -> None:
    """Undo ``torch.nn.utils.parametrize``, whose own way changes the class, which copies of the module share."""
    values = {name: getattr(module, name) for name in module.parametrizations}  # type: ignore[union-attr]
    module.__class__ = type(module).__bases__[0]
    del module.parametrizations
    for name, value in values.items():
        module.register_parameter(name, nn.Parameter(value.detach().clone(), requires_grad=False))
