"""What every method can set, with the published run's values as defaults, and the registry of methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, get_args, get_type_hints

from sfcore.errors import InputError
from sfcore.registries import Registry

GRANULARITIES = ("net", "block", "layer")
SELECTIONS = ("none", "fast", "exact", "bottom", "random", "fixed")
SCHEDULES = ("constant", "cosine")
NAMES = tuple[str, ...]
KINDS: dict[Any, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a name",
    NAMES: "names with commas between them", NoneType: "null",
}  # fmt: skip
LEARNABLE = ("weights", "rounding", "biases", "steps", "offsets", "norms")
# What was an option once, and what there is in its place.
FORMER = {"wide_heads": "bits belong to the scheme, so write --bits W4A4,heads=16 for 16 in the heads' branches"}
# What only means something where the heads are in sight, and its value elsewhere.
OF_THE_NET = {"objective": "plain", "selection": "none", "augmentation": 0.0, "features": 0.0}


@dataclass(frozen=True)
class Recipe:
    """How a calibrated model is tuned. A method is a subclass with its own defaults.

    Attributes:
        granularity: what is reconstructed at once: "net" (the heads' outputs), or one after the other, in the order in
            which they run, "block" or "layer".
        iterations: steps of Adam, for each unit of the granularity; 0 tunes nothing.
        batch: images a step.
        learning_rate: of Adam. Absolute, or with ``relative`` in units of each layer's own step size; that of the
            rounding is absolute. With fewer iterations than published, raise it about as many times.
        relative: see ``learning_rate``.
        step_rate: absolute learning rate of step sizes and offsets; None for the rate of everything else.
        reach: share of its channel's range by which a weight may move at most; None for no limit.
        schedule: "constant" (published) or "cosine" with a short warm-up; of all rates but that of the rounding.
        objective: what is minimised net-wise; a name among the objectives.
        lam: λ > 0, the weight of the confidence term.
        selection: which heads count net-wise: "none" (all), "fast" (the k most sensitive by curve), "exact" (by
            replacement), and as controls "bottom" (the k least sensitive), "random" (any k) and "fixed" (``heads``).
        k: how many heads are selected; None for 1 of two heads, 2 of more.
        heads: the heads of the selection "fixed", by name.
        reselect_every: iterations between selections.
        learn: what is learned, among weights, rounding (up or down, of each weight), biases, steps (step sizes; with
            the rounding only those of activations), offsets (zero points) and norms (of layers, not of batches).
        rounding: weight of the term that drives the learned rounding to 0 or 1.
        first_exponent: β of that term after the warm-up: high values leave undecided weights alone.
        last_exponent: β at the end, reached in a straight line.
        warm_up: share of the iterations before that term sets in.
        drop: probability with which an activation is left at full precision in a step.
        augmentation: strength of the augmentation of the calibration images, 0 for none.
        features: weight of the term that keeps each block's features near the full-precision ones.
        rendered: rendered scenes mixed among the calibration images, as another source.
        check_every: iterations between checks of the distortion on the held-back images; units are checked at the end.

    Raises:
        InputError: a value is out of range, or two do not go together.
    """

    title: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]

    granularity: str = "net"
    iterations: int = 5000
    batch: int = 8
    learning_rate: float = 2.5e-5
    relative: bool = False
    step_rate: float | None = None
    reach: float | None = None
    schedule: str = "constant"
    objective: str = "plain"
    lam: float = 1.0
    selection: str = "none"
    k: int | None = None
    heads: tuple[str, ...] = ()
    reselect_every: int = 2000
    learn: tuple[str, ...] = ("weights",)
    rounding: float = 0.01
    first_exponent: float = 20.0
    last_exponent: float = 2.0
    warm_up: float = 0.2
    drop: float = 0.0
    augmentation: float = 0.0
    features: float = 0.0
    rendered: int = 0
    check_every: int = 100

    def __post_init__(self) -> None:
        self._check_types()
        self._at_least("iterations", 0)
        for name in ("batch", "reselect_every", "check_every"):
            self._at_least(name, 1)
        for name in ("augmentation", "features", "rendered", "rounding"):
            self._at_least(name, 0)
        for name in ("learning_rate", "lam", "first_exponent", "last_exponent"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise InputError(f"{_SIGNS.get(name, name)} = {value}: it must be a number greater than 0")
        for name, none in (("reach", "no limit"), ("step_rate", "the learning rate")):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} = {value}: it must be greater than 0, or None for {none}")
        for name in ("drop", "warm_up"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} = {getattr(self, name)}: choose a number from 0 to 1")
        if self.k is not None and self.k < 1:
            raise InputError(f"k = {self.k}: at least one head must be selected")
        self._check_choices()

    def _check_types(self) -> None:
        """Of values as a file or a command gives them: names may be a list, or a text with commas."""
        for name, known in kinds(type(self)).items():  # type: ignore[arg-type]  # a class is hashable
            value = getattr(self, name)
            if NAMES in known and isinstance(value, str | list):
                value = tuple(value.split(",") if isinstance(value, str) else value)
                object.__setattr__(self, name, value)
            if KINDS.keys() >= {*known} and not any(_fits(value, kind) for kind in known):
                said = " or ".join(KINDS[kind] for kind in known)
                raise InputError(f"{_SIGNS.get(name, name)} = {value!r}: it must be {said}")

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not value >= least:
            raise InputError(f"{name} = {value}: choose {least} or more")

    def _check_choices(self) -> None:
        """Names that exist, in combinations that mean something."""
        for name, allowed in (("granularity", GRANULARITIES), ("selection", SELECTIONS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            if value not in allowed:
                raise InputError(f"there is no {name} {value!r}: choose one of {', '.join(allowed)}")
        if not self.learn or set(self.learn) - set(LEARNABLE):
            raise InputError(f"{self.learn} cannot be learned: choose among {', '.join(LEARNABLE)}")
        if {"weights", "rounding"} <= set(self.learn):
            raise InputError("weights and their rounding cannot be learned at once: choose one of the two")
        if (self.selection == "fixed") != bool(self.heads):
            raise InputError(
                f"heads = {self.heads} with the selection {self.selection!r}: name heads for 'fixed', and for it alone"
            )
        for name, value in OF_THE_NET.items():
            if self.granularity != "net" and getattr(self, name) != value:
                said = f"{name} = {getattr(self, name)!r}"
                raise InputError(f"{said} needs the heads in sight: choose {value!r}, or the granularity 'net'")

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

    def fixed_heads(self, names: Sequence[str]) -> tuple[str, ...]:
        """The heads of the selection "fixed" for a detector with these heads.

        Raises:
            InputError: one is none of the detector's.
        """
        for name in self.heads:
            if name not in names:
                raise InputError(f"heads = {self.heads}: there is no head {name!r}; choose among {', '.join(names)}")
        return self.heads

    @property
    def needs_curves(self) -> bool:
        """Whether the selection asks noise-score curves."""
        return self.selection in ("fast", "bottom")

    def rate(self, iteration: int) -> float:
        """The factor on the learning rate at an iteration."""
        if self.schedule == "constant":
            return 1.0
        warm = min(1.0, (iteration + 1) / 30)
        return warm * (0.5 * (1 + math.cos(math.pi * iteration / max(self.iterations, 1))) + 0.01)

    def exponent(self, iteration: int) -> float | None:
        """The exponent of the rounding's term at an iteration: straight from first to last; None in the warm-up."""
        start = self.warm_up * self.iterations
        if iteration < start:
            return None
        first, last = self.first_exponent, self.last_exponent
        return last + (first - last) * (1 - (iteration - start) / max(self.iterations - start, 1))


def refuse_former(option: str) -> None:
    """Raise InputError where methods have an option no more; the message says what to do instead."""
    if option in FORMER:
        raise InputError(f"{option} is no option of methods any more: {FORMER[option]}")


@cache
def kinds(config: type[Recipe]) -> dict[str, tuple[Any, ...]]:
    """What the value of each option may be."""
    hints = get_type_hints(config)
    chosen = {field.name: hints[field.name] for field in fields(config)}
    return {name: get_args(hint) if isinstance(hint, UnionType) else (hint,) for name, hint in chosen.items()}


def _fits(value: Any, kind: Any) -> bool:
    if kind == NAMES:
        return isinstance(value, tuple) and all(isinstance(name, str) for name in value)
    return isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))


_SIGNS = {"lam": "λ"}
METHODS: Registry[type[Recipe]] = Registry("method", "sfcore.quant.methods")
