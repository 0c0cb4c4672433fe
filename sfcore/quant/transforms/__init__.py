"""What is done to a copy of a detector before its ranges are found: one file each that registers itself."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.scheme import Scheme
from sfcore.registries import Registry

USUAL = ("fold-batch-norm",)  # where nothing else is asked


class Transform:
    """Changes a network so that it can be quantized, or quantized better, and computes the same in full precision.

    A subclass overrides what it needs. :meth:`restructure` and :meth:`extend` are done again when a saved model is
    loaded, and when the full-precision network is made that reconstruction compares with: what a layer reads and puts
    out must not depend on what is fitted.
    """

    def restructure(self, model: Detector, example: Tensor) -> dict[str, str]:
        """Change the full-precision copy, in place, before its layers are replaced by quantized ones.

        Args:
            example: (1, ...) input that shows what the network does.

        Returns:
            What stays as it was, and why, by the names of modules.
        """
        return {}

    def extend(self, model: Detector) -> None:
        """Give the quantized layers, in place, what :meth:`fit` will fill: buffers, with values that change nothing.

        A shift and a scale of what a layer quantizes need nothing here: :meth:`fit` gives them to a layer by
        :meth:`sfcore.quant.layers.QuantLayer.reparametrize`, and a saved state says which layers have them.
        """

    def fit(self, model: Detector, batches: Sequence[Tensor], scheme: Scheme) -> Sequence[str] | None:
        """Fill what is prepared, on preprocessed frames, each (B, ...), before ranges are found.

        Returns:
            What was done, as sentences for people; None where there is nothing to say.
        """
        return None

    def adjust(
        self, model: Detector, detector: Detector, batches: Sequence[Tensor], scheme: Scheme
    ) -> Sequence[str] | None:
        """Change, in place, the ranges that were found; before biases are corrected.

        Args:
            detector: in full precision; never changed.
            batches, scheme: as of :meth:`fit`.

        Returns:
            As of :meth:`fit`.
        """
        return None

    @classmethod
    def adjusts(cls) -> bool:
        """Whether ranges are changed once they are found, so that they are those of one scheme alone."""
        return cls.adjust is not Transform.adjust


def with_usual(names: Sequence[str]) -> tuple[str, ...]:
    """The transforms of a run that is asked for some: the usual ones come first, where they are not named.

    Raises:
        InputError: one is named twice.

    Example:
        >>> with_usual(["gamma-migration", "token-clip"])
        ('fold-batch-norm', 'gamma-migration', 'token-clip')
    """
    if twice := next((name for name in names if list(names).count(name) > 1), None):
        raise InputError(f"the transform {twice} is named twice: leave one of the two out")
    return (*(name for name in USUAL if name not in names), *names)


def beyond_usual(names: Sequence[str]) -> tuple[str, ...]:
    """Those of a run's transforms that were asked for: all but the usual ones.

    Example:
        >>> beyond_usual(("fold-batch-norm", "shift-scale"))
        ('shift-scale',)
    """
    return tuple(name for name in names if name not in USUAL)


TRANSFORMS: Registry[type[Transform]] = Registry("transform", __name__)
