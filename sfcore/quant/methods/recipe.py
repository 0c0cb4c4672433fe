"""What every method can set, with the published run's values as defaults, and the registry of methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.calibrate import ACTIVATIONS, WEIGHTS
from sfcore.quant.estimators import ESTIMATORS, USUAL
from sfcore.quant.methods.options import Values, option, options_of
from sfcore.quant.objectives import OBJECTIVES, check_objective
from sfcore.quant.quantizers import QUANTIZERS
from sfcore.quant.scheme import Scheme
from sfcore.registries import Registry

GRANULARITIES = ("net", "block", "layer")
SELECTIONS = ("none", "fast", "exact", "bottom", "random", "fixed")
SCHEDULES = ("constant", "cosine")
LEARNABLE = ("weights", "rounding", "biases", "steps", "offsets", "norms")
# What was an option once, and what there is in its place.
FORMER = {"wide_heads": "bits belong to the scheme, so write --bits W4A4,heads=16 for 16 in the heads' branches"}
# What only means something where the heads are in sight, and its value elsewhere.
OF_THE_NET = {"objective": "plain", "selection": "none", "augmentation": 0.0, "features": 0.0}


def _off_heads(now: Values) -> str:
    return "" if now["iterations"] and now["granularity"] == "net" else "does not tune on heads"


def _selecting_none(now: Values) -> str:
    return _off_heads(now) or ("selects no heads" if now["selection"] in ("none", "fixed") else "")


def _naming_none(now: Values) -> str:
    return _off_heads(now) or ("" if now["selection"] == "fixed" else "names no heads")


def _unconfident(now: Values) -> str:
    return _off_heads(now) or ("has no confidence term" if now["objective"] == "plain" else "")


def _not_learning(*names: str) -> Callable[[Values], str]:
    return lambda now: "" if set(names) & set(now["learn"]) else f"does not learn {' or '.join(names)}"


@dataclass(frozen=True)
class Recipe:
    """How a calibrated model is tuned. A method is a subclass with its own defaults.

    What each option means is said where it is declared.

    Attributes:
        title, summary, source: what people read of it.
        calibrators: of weights and of activations, those of its paper where it has its own; what a run takes where
            nothing else is said.
        steady: whether its rates stay as they are where a run has fewer steps.

    Raises:
        InputError: a value is out of range, or two do not go together.
    """

    title: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    calibrators: ClassVar[tuple[str, str]] = (WEIGHTS, ACTIVATIONS)
    steady: ClassVar[bool] = False

    granularity: str = option(
        "net",
        "Granularity",
        'What is reconstructed at once: "net" (the heads\' outputs), or one after the other, in the order in which '
        'they run, "block" or "layer".',
        choices=GRANULARITIES,
    )
    iterations: int = option(
        5000, "Iterations", "Steps of Adam, for each unit of the granularity; 0 tunes nothing.", least=0
    )
    batch: int = option(8, "Batch", "Images a step.", least=1)
    learning_rate: float = option(
        2.5e-5,
        "Learning rate",
        "Of Adam. Absolute, or with Relative in units of each layer's own step size; that of the rounding is absolute. "
        "With fewer iterations than published, raise it about as many times.",
        above=0,
    )
    relative: bool = option(False, "Relative", "Whether the learning rate is in units of each layer's own step size.")
    step_rate: float | None = option(
        None,
        "Step rate",
        "Absolute learning rate of step sizes and offsets; None for the rate of everything else.",
        above=0,
        none="the learning rate",
        idle=_not_learning("steps", "offsets"),
    )
    reach: float | None = option(
        None,
        "Reach",
        "Share of its channel's range by which a weight may move at most; None for no limit.",
        above=0,
        none="no limit",
        idle=_not_learning("weights"),
    )
    schedule: str = option(
        "constant",
        "Schedule",
        '"constant" (published) or "cosine" with a short warm-up; of all rates but that of the rounding.',
        choices=SCHEDULES,
    )
    objective: str = option(
        "plain",
        "Objective",
        "What is minimised net-wise; a name among the objectives.",
        choices=OBJECTIVES,
        idle=_off_heads,
    )
    lam: float = option(
        1.0, "Confidence, λ", "λ > 0, the weight of the confidence term.", sign="λ", above=0, idle=_unconfident
    )
    selection: str = option(
        "none",
        "Selection",
        'Which heads count net-wise: "none" (all), "fast" (the k most sensitive by curve), "exact" (by replacement), '
        'and as controls "bottom" (the k least sensitive), "random" (any k) and "fixed" (by name).',
        choices=SELECTIONS,
        idle=_off_heads,
    )
    k: int | None = option(
        None,
        "Heads, k",
        "How many heads are selected; None for 1 of two heads, 2 of more.",
        sign="k",
        least=1,
        none="1 of two heads, 2 of more",
        idle=_selecting_none,
    )
    heads: tuple[str, ...] = option((), "Heads", 'The heads of the selection "fixed", by name.', idle=_naming_none)
    reselect_every: int = option(
        2000, "Reselect every", "Iterations between selections.", least=1, idle=_selecting_none
    )
    learn: tuple[str, ...] = option(
        ("weights",),
        "What is learned",
        "Among weights, rounding (up or down, of each weight), biases, steps (step sizes; with the rounding only those "
        "of activations), offsets (zero points) and norms (of layers, not of batches).",
        choices=LEARNABLE,
    )
    estimator: str = option(
        USUAL,
        "Estimator",
        'What stands for the derivative of the sign where weights have 1 bit (W1A8): "two-stage" goes from the '
        'identity to the sign (IR-Net, DIR-Net), "straight-through" takes the sign for the identity; of no effect on '
        "weights of more bits.",
        choices=ESTIMATORS,
        idle=_not_learning("weights"),
    )
    rounding: float = option(
        0.01,
        "Weight of rounding",
        "Weight of the term that drives the learned rounding to 0 or 1.",
        least=0,
        idle=_not_learning("rounding"),
    )
    first_exponent: float = option(
        20.0,
        "First β",
        "β of that term after the warm-up: high values leave undecided weights alone.",
        above=0,
        idle=_not_learning("rounding"),
    )
    last_exponent: float = option(
        2.0, "Last β", "β at the end, reached in a straight line.", above=0, idle=_not_learning("rounding")
    )
    warm_up: float = option(
        0.2,
        "Warm up",
        "Share of the iterations before that term sets in.",
        least=0,
        most=1,
        idle=_not_learning("rounding"),
    )
    drop: float = option(
        0.0, "Drop", "Probability with which an activation is left at full precision in a step.", least=0, most=1
    )
    jitter: float = option(
        0.0,
        "Jitter",
        "Share of a step by which activations are moved at random before they are rounded in a step of tuning, so that "
        "the network bears the roundings of other engines.",
        least=0,
        most=1,
    )
    augmentation: float = option(
        0.0,
        "Augmentation",
        "Strength of the augmentation of the calibration images, 0 for none.",
        least=0,
        idle=_off_heads,
    )
    features: float = option(
        0.0,
        "Features",
        "Weight of the term that keeps each block's features near the full-precision ones.",
        least=0,
        idle=_off_heads,
    )
    rendered: int = option(
        0, "Rendered", "Rendered scenes mixed among the calibration images, as another source.", least=0
    )
    check_every: int = option(
        100,
        "Check every",
        "Iterations between checks of the distortion on the held-back images; units are checked at the end.",
        least=1,
        idle=_off_heads,
    )

    def __post_init__(self) -> None:
        for name, each in options_of(type(self)).items():
            object.__setattr__(self, name, each.taken(getattr(self, name)))
        self._check_learned()
        self._check_heads()

    def _check_learned(self) -> None:
        if not self.learn or set(self.learn) - set(LEARNABLE):
            raise InputError(f"{self.learn} cannot be learned: choose among {', '.join(LEARNABLE)}")
        if {"weights", "rounding"} <= set(self.learn):
            raise InputError("weights and their rounding cannot be learned at once: choose one of the two")

    def _check_heads(self) -> None:
        """Heads are named where they are fixed, and count where they are in sight."""
        if (self.selection == "fixed") != bool(self.heads):
            raise InputError(
                f"heads = {self.heads} with the selection {self.selection!r}: name heads for 'fixed', and for it alone"
            )
        for name, value in OF_THE_NET.items():
            if self.granularity != "net" and getattr(self, name) != value:
                said = f"{name} = {getattr(self, name)!r}"
                raise InputError(f"{said} needs the heads in sight: choose {value!r}, or the granularity 'net'")

    @classmethod
    def calibration(cls) -> dict[str, str]:
        """The calibrators, by what the specification of a run calls them."""
        return dict(zip(("weight_calibrator", "activation_calibrator"), cls.calibrators, strict=True))

    def check_detector(self, detector: Detector) -> None:
        """Raise InputError where the recipe does not fit a detector: its heads, or what its objective reads."""
        names = [head.name for head in detector.heads]
        self.heads_to_select(len(names))
        self.fixed_heads(names)
        check_objective(self.objective, detector)

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

    def check_scheme(self, scheme: Scheme) -> None:
        """Raise InputError where the rounding of weights is to be learned that have only a sign."""
        kind = scheme.bits_of("", edge=False).weight_quantizer
        if "rounding" in self.learn and "rounding" not in QUANTIZERS[kind].learnable:
            raise InputError(
                f"{scheme.name} leaves no rounding of weights to learn, for {scheme.weight_bits} bit is a sign: "
                "choose a method that learns the weights themselves, such as dir-net, or 2 bits or more"
            )

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


def configured(method: str, values: Values) -> Recipe:
    """The configuration of a method, by name, with some values.

    Raises:
        InputError: no such method or option, or a value that the method refuses.
    """
    config = METHODS[method]
    known = options_of(config)
    for name in values:
        refuse_former(name)
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise InputError(f"the method {method} has no option {name!r}: its options are {allowed}")
    return config(**values)


METHODS: Registry[type[Recipe]] = Registry("method", "sfcore.quant.methods")
