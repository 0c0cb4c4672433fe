"""Moving what is rounded by a fraction of a step at random: ours, so that a network learns to bear other roundings."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.quant.hooks import hooks
from sfcore.quant.quantizers import Quantizer
from sfcore.quant.reconstruct.drop import activation_quantizers


def jittering(module: nn.Module, share: float, generator: torch.Generator) -> AbstractContextManager[None]:
    """Within the block each quantizer of activations reads x + u·s, u uniform in [-share, share], s its step size.

    Two equally right evaluations of a quantized network differ where a value lies so near to the middle between two
    steps that the order of a sum decides (:mod:`sfcore.deployment.arithmetic`); this draws such decisions at random.

    Args:
        generator: on the module's device; decides u.
    """
    if not share:
        return nullcontext()

    def move(quantizer: Quantizer, inputs: Any) -> tuple[Tensor]:
        (x,) = inputs
        if not (quantizer.active and quantizer.known):
            return (x,)
        moved = torch.empty_like(x).uniform_(-share, share, generator=generator)
        return (x + moved * quantizer.scale.detach(),)

    return hooks(activation_quantizers(module), before=move)
