"""What every method can set, with the published run's values as defaults, and the registry of methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from sfcore.errors import InputError
from sfcore.registries import Registry

SELECTIONS = ("none", "fast", "exact")
LEARNABLE = ("weights", "biases", "steps", "norms")


@dataclass(frozen=True)
class Recipe:
    """How a calibrated model is tuned. A method is a subclass with its own defaults.

    Attributes:
        iterations: steps of Adam; 0 tunes nothing.
        batch: images a step.
        learning_rate: of Adam. Absolute, or with ``relative`` in units of each layer's own step size.
        relative: see ``learning_rate``.
        reach: share of its channel's range by which a weight may move at most; None for no limit.
        schedule: "constant" (published) or "cosine" with a short warm-up.
        objective: what is minimised; a name among the objectives.
        lam: λ > 0, the weight of the confidence term.
        selection: which heads count: "none" (all), "fast" (by curve) or "exact" (by replacement).
        k: how many heads are selected; None for 1 of two heads, 2 of more.
        reselect_every: iterations between selections.
        learn: what is learned, among weights, biases, steps (step sizes) and norms (of layers, not of batches).
        augmentation: strength of the augmentation of the calibration images, 0 for none.
        features: weight of the term that keeps each block's features near the full-precision ones.
        rendered: rendered scenes mixed among the calibration images, as another source.
        check_every: iterations between checks of the distortion on the held-back images.
        wide_heads: whether each head's own branch gets 16 bits, rather than its last layer 8.

    Raises:
        InputError: a value is out of range.
    """

    title: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]

    iterations: int = 5000
    batch: int = 8
    learning_rate: float = 2.5e-5
    relative: bool = False
    reach: float | None = None
    schedule: str = "constant"
    objective: str = "plain"
    lam: float = 1.0
    selection: str = "none"
    k: int | None = None
    reselect_every: int = 2000
    learn: tuple[str, ...] = ("weights",)
    augmentation: float = 0.0
    features: float = 0.0
    rendered: int = 0
    check_every: int = 100
    wide_heads: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "learn", tuple(self.learn))  # JSON has no tuples
        self._at_least("iterations", 0)
        for name in ("batch", "reselect_every", "check_every"):
            self._at_least(name, 1)
        for name in ("augmentation", "features", "rendered"):
            self._at_least(name, 0)
        for name in ("learning_rate", "lam"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise InputError(f"{_SIGNS.get(name, name)} = {value}: it must be a number greater than 0")
        if self.reach is not None and not self.reach > 0:
            raise InputError(f"reach = {self.reach}: it must be greater than 0, or None for no limit")
        if self.k is not None and self.k < 1:
            raise InputError(f"k = {self.k}: at least one head must be selected")
        if self.selection not in SELECTIONS:
            raise InputError(f"there is no selection {self.selection!r}: choose one of {', '.join(SELECTIONS)}")
        if not self.learn or set(self.learn) - set(LEARNABLE):
            raise InputError(f"{self.learn} cannot be learned: choose among {', '.join(LEARNABLE)}")

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not value >= least:
            raise InputError(f"{name} = {value}: choose {least} or more")

    def heads_to_select(self, heads: int) -> int:
        """k for a detector with so many heads.

        Raises:
            InputError: the recipe's own k is larger.
        """
        if self.k is None:
            return 1 if heads <= 2 else 2
        if self.k > heads:
            raise InputError(f"k = {self.k}: the detector has {heads} heads; choose 1 to {heads}")
        return self.k

    def rate(self, iteration: int) -> float:
        """The factor on the learning rate at an iteration."""
        if self.schedule == "constant":
            return 1.0
        warm = min(1.0, (iteration + 1) / 30)
        return warm * (0.5 * (1 + math.cos(math.pi * iteration / max(self.iterations, 1))) + 0.01)


_SIGNS = {"lam": "λ"}
METHODS: Registry[type[Recipe]] = Registry("method", "sfcore.quant.methods")
