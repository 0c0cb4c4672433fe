"""What is done to a copy of a detector before its ranges are found: one file each that registers itself."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.quant.scheme import Scheme
from sfcore.registries import Registry

USUAL = ("fold-batch-norm",)  # where nothing else is asked


class Transform:
    """Changes a network so that it can be quantized, or quantized better, and computes the same in full precision.

    A subclass overrides one of the two, or both.
    """

    def restructure(self, model: Detector, example: Tensor) -> dict[str, str]:
        """Change the full-precision copy, in place, before its layers are replaced by quantized ones.

        It is done again when a saved model is loaded, so whatever :meth:`fit` will fill must be there as buffers.

        Args:
            example: (1, ...) input that shows what the network does.

        Returns:
            What stays as it was, and why, by the names of modules.
        """
        return {}

    def fit(self, model: Detector, batches: Sequence[Tensor], scheme: Scheme) -> None:
        """Fill what :meth:`restructure` prepared, on preprocessed frames, each (B, ...), before ranges are found."""


TRANSFORMS: Registry[type[Transform]] = Registry("transform", __name__)
