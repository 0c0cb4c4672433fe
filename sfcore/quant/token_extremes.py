"""The largest and the least value of each token of what activation quantizers read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.quant.flow import Memory, Observer, Operation, Visit, memories, observe
from sfcore.quant.hooks import hooks
from sfcore.quant.layers import QuantLayer
from sfcore.quant.layers.matmul import QuantMatMul
from sfcore.quant.quantizers import Quantizer, full_precision
from sfcore.quant.reconstruct.drop import activation_quantizers

TOKENS = 1024  # of a batch that are kept, at even distances, beside that of the largest and that of the least value


@dataclass(frozen=True)
class Extremes:
    """Of the tokens of a batch, each (T,).

    Attributes:
        low, high: the least and the largest value of each token.
    """

    low: Tensor
    high: Tensor

    def ends(self, ratio: float) -> Tensor:
        """(2,) the least ``low`` and the largest ``high`` of those within the quantile ``ratio`` of their magnitudes.

        Example:
            >>> tokens = Extremes(torch.tensor([-1.0, -2.0, -9.0]), torch.tensor([3.0, 8.0, 4.0]))
            >>> tokens.ends(1.0), tokens.ends(0.5)
            (tensor([-9.,  8.]), tensor([-2.,  4.]))
        """
        low = self.low[self.low >= -torch.quantile(self.low.abs(), ratio)]
        high = self.high[self.high <= torch.quantile(self.high.abs(), ratio)]
        return torch.stack([low.min(), high.max()])


@torch.no_grad()
def token_extremes(model: Detector, batches: Sequence[Tensor]) -> dict[Quantizer, list[Extremes]]:
    """What each activation quantizer that has a range reads in full precision, but for what softmaxes put out.

    The values of a token are those that one product sums up: channels of a linear layer or a convolution, whose
    tokens are places, and the dimension that a matrix product sums over.

    Args:
        batches: preprocessed frames, each (B, ...), on the model's device.
    """
    softmaxes = _Softmaxes()
    with full_precision(model):
        observe(model, batches[0][:1], softmaxes)
    chosen = [q for q in activation_quantizers(model) if q.known and q not in softmaxes.readers]
    axes, seen = _channel_axes(model), dict[Quantizer, list[Extremes]]()

    def see(quantizer: Quantizer, inputs: Any) -> None:
        x = inputs[0]
        axis = axes.get(quantizer, -3 if x.ndim == 4 else -1)
        seen.setdefault(quantizer, []).append(Extremes(_some(x.amin(axis)), _some(x.amax(axis), most=True)))

    with full_precision(model), hooks(chosen, before=see):
        for batch in batches:
            model(batch)
    return seen


def _channel_axes(model: nn.Module) -> dict[Quantizer, int]:
    """Along which dimension of what a quantizer reads, from the end, its product sums."""
    axes: dict[Quantizer, int] = {}
    for module in model.modules():
        if isinstance(module, QuantLayer):
            axes[module.input_quantizer] = module.channel_axis
        elif isinstance(module, QuantMatMul):
            axes |= {module.left_quantizer: -1, module.right_quantizer: -2}
    return axes


def _some(values: Tensor, most: bool = False) -> Tensor:
    """Values at even distances, and the largest or the least of all."""
    flat = values.flatten()
    end = flat.max() if most else flat.min()
    return torch.cat([flat[:: len(flat) // TOKENS + 1], end.reshape(1)])


class _Softmaxes(Observer):
    """The quantizers that read what a softmax put out."""

    def __init__(self) -> None:
        super().__init__()
        self.held: set[Memory] = set()
        self.readers: set[nn.Module] = set()

    def happened(self, operation: Operation) -> None:
        if operation.name == "_softmax":
            self.held.update(memories(operation.results))

    def entered(self, visit: Visit) -> None:
        if isinstance(visit.module, Quantizer) and self.held.intersection(memories(visit.inputs)):
            self.readers.add(visit.module)
