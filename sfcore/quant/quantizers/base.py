"""What every fake quantizer is, and the registry of them. One more is one more file that registers a class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sfcore.quant.calibrators import Calibrator
from sfcore.registries import Registry


@dataclass(frozen=True)
class Integers:
    """What stands behind a quantizer's values, as engines want to know it: value = (integer - zero) · scale.

    Attributes:
        bits: of an integer.
        low, high: the smallest and the largest.
        scale: the step sizes, in the shape that broadcasts over what is quantized.
        zero: the integers that stand for 0, of the same shape; None where that is 0.
    """

    bits: int
    low: int
    high: int
    scale: Tensor
    zero: Tensor | None


class Quantizer(nn.Module, ABC):
    """Rounds values to those that integers of some bits stand for; a subclass implements :meth:`rounded`.

    Its range is plain data that is known once it is calibrated, so that a quantized model can be traced; in its state
    ``signed`` is a truth beside the tensors.

    Args:
        bits: of the integers.
        scale_shape: of the step sizes; broadcasts over what is quantized.
        affine: whether there is a zero point.
        always_signed: whether there are negative integers also where no value is negative.

    Attributes:
        coarse: whether its values are so far from what they stand for that what comes out of a layer is matched to the
            full-precision one's spread.
        learnable: what of it a method may learn: "steps" (``scale``), "offsets" (``zero``), "rounding" (up or down, on
            the grid of :attr:`integers`).
        scale: the step size; a parameter, so that a method may learn it.
        zero: the zero point, of the same shape; None where symmetric. A whole number as calibrated; learned, it may
            be any number, is rounded when used, and takes the gradient of the rounded one. The offset β of LSQ+
            is -zero · scale.
        signed: whether negative integers are used.
        active: whether anything is rounded.
        known: whether there is a range to round to; where not, which its state says by a step size of NaN, values
            pass as they are.
    """

    coarse: ClassVar[bool] = False
    learnable: ClassVar[frozenset[str]] = frozenset()
    scale: nn.Parameter
    zero: nn.Parameter | None

    def __init__(
        self, bits: int, scale_shape: tuple[int, ...] = (), affine: bool = False, always_signed: bool = False
    ) -> None:
        super().__init__()
        self.bits, self.always_signed = bits, always_signed
        self.active = self.known = True
        self.signed = not affine
        self.scale = nn.Parameter(torch.ones(scale_shape), requires_grad=False)
        zero = nn.Parameter(torch.zeros(scale_shape), requires_grad=False) if affine else None
        self.register_parameter("zero", zero)

    @property
    @abstractmethod
    def limits(self) -> tuple[int, int]:
        """The smallest and largest integer."""

    @abstractmethod
    def rounded(self, x: Tensor) -> Tensor:
        """Values as the integers give them back, differentiable where a gradient is asked; a new tensor."""

    @abstractmethod
    def calibrate(self, batches: Sequence[Tensor], negative: bool, search: Calibrator) -> None:
        """Adopt a range for values.

        Args:
            batches: each (C, N) with a row for each step size; all finite.
            negative: whether there are negative values, here or elsewhere in the tensor.
            search: finds ranges.
        """

    def takes(self, negative: bool) -> bool:
        """Whether values can be rounded to the integers of these bits, negative ones among them or not."""
        return True

    @property
    def integers(self) -> Integers:
        """What stands behind the values, their step sizes as they are used."""
        zero = None if self.zero is None else self.zero.detach().round()
        return Integers(self.bits, *self.limits, self.scale.detach(), zero)

    def rescaled(self, factors: Tensor) -> Tensor:
        """Make the steps, where they are :attr:`coarse`, as many times as large as they can become.

        Args:
            factors: of each step that are wished for.

        Returns:
            Those that it came to, (S,) for S steps.
        """
        self.set_range(self.scale.detach() * factors.reshape(self.scale.shape), self.signed)
        return factors.flatten()

    def anneal(self, progress: float, estimator: str) -> None:
        """Get ready for a step of learning what is rounded; nothing here, where its gradient is the same all along.

        Args:
            progress: the share of the iterations that are over, from 0 to 1.
            estimator: the name of what stands for a derivative that is 0.
        """

    def facts(self, values: Tensor) -> dict[str, float]:
        """What charts show of how ``values`` are rounded, by name; nothing here."""
        return {}

    def set_range(self, scale: Tensor, signed: bool, zero: Tensor | None = None) -> None:
        """Adopt a step size and, where affine, zero point."""
        with torch.no_grad():
            self.scale.copy_(scale.reshape(self.scale.shape))
            if self.zero is not None and zero is not None:
                self.zero.copy_(zero.reshape(self.zero.shape))
        self.signed, self.known = signed, True

    def set_unknown(self) -> None:
        """Round nothing until a range is set: no calibration image led here."""
        with torch.no_grad():
            self.scale.fill_(float("nan"))
        self.known = False

    def forward(self, x: Tensor) -> Tensor:
        return self.rounded(x) if self.active and self.known else x

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}signed"] = torch.tensor(self.signed)

    def _load_from_state_dict(
        self, state: Any, prefix: str, metadata: Any, strict: bool, missing: Any, *more: Any
    ) -> None:
        signed = state.pop(f"{prefix}signed", None)
        super()._load_from_state_dict(state, prefix, metadata, strict, missing, *more)
        if signed is None:
            missing.append(f"{prefix}signed")
        else:
            self.signed = bool(signed)
        self.known = not bool(self.scale.isnan().any())

    def extra_repr(self) -> str:
        return f"bits={self.bits}, signed={self.signed}, affine={self.zero is not None}"


QUANTIZERS: Registry[type[Quantizer]] = Registry("quantizer", "sfcore.quant.quantizers")


def quantizers(model: nn.Module) -> Iterator[tuple[str, Quantizer]]:
    """All fake quantizers of a model with their names."""
    for name, module in model.named_modules():
        if isinstance(module, Quantizer):
            yield name, module


@contextmanager
def full_precision(model: nn.Module, only: str | None = None) -> Iterator[None]:
    """Within the block quantization is off, everywhere or in quantizers whose name ends in ``only``."""
    chosen = [q for name, q in quantizers(model) if only is None or name.endswith(only)]
    before = [q.active for q in chosen]
    try:
        for quantizer in chosen:
            quantizer.active = False
        yield
    finally:
        for quantizer, active in zip(chosen, before, strict=True):
            quantizer.active = active
