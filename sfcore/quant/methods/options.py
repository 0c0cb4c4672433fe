"""The options of methods as data: what each is called, says, may be, and when it changes nothing.

The command line, the form, the sweep, the bench, the report's command and the run's specification all derive from here.
An option that a method adds brings its own :class:`Option` along, as ``field(metadata={"option": Option(...)})``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from sfcore.errors import InputError
from sfcore.quant.methods.recipe import (
    GRANULARITIES,
    LEARNABLE,
    METHODS,
    SCHEDULES,
    SELECTIONS,
    Recipe,
    refuse_former,
)
from sfcore.quant.objectives import OBJECTIVES

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """One option of methods.

    Attributes:
        label: what forms and reports call it.
        tooltip: one or two sentences.
        choices: the values there are; None where there is no list of them.
        least: of a whole number.
        idle: whether it changes nothing, given the values of all options.
        sign: the letter that it has in equations, if any: reports and messages call it so.
        main: it is among the few that are shown at once, and that the commands have a flag for.
    """

    label: str
    tooltip: str
    choices: Callable[[], Sequence[str]] | None = None
    least: int = 1
    idle: Callable[[Values], bool] = lambda _: False
    main: bool = False
    sign: str = ""


def _of_units(now: Values) -> bool:
    return now["granularity"] != "net"


def _unselected(now: Values) -> bool:
    return _of_units(now) or now["selection"] in ("none", "fixed")


def _unlearned(*names: str) -> Callable[[Values], bool]:
    return lambda now: not set(names) & set(now["learn"])


OPTIONS: dict[str, Option] = {
    "k": Option(
        "Heads, k", "How many heads are selected; None for 1 of two heads, 2 of more.", idle=_unselected, main=True,
        sign="k",
    ),
    "lam": Option(
        "Confidence, λ", "λ > 0, the weight of the confidence term.",
        idle=lambda now: _of_units(now) or now["objective"] == "plain", main=True, sign="λ",
    ),
    "iterations": Option(
        "Iterations", "Steps of Adam, for each unit of the granularity; 0 tunes nothing.", main=True
    ),
    "batch": Option("Batch", "Images a step.", main=True),
    "learning_rate": Option(
        "Learning rate",
        "Of Adam. Absolute, or with Relative in units of each layer's own step size; that of the rounding is absolute. "
        "With fewer iterations than published, raise it about as many times.", main=True,
    ),
    "granularity": Option(
        "Granularity",
        'What is reconstructed at once: "net" (the heads\' outputs), or one after the other, in the order in which '
        'they run, "block" or "layer".', lambda: GRANULARITIES,
    ),
    "relative": Option("Relative", "Whether the learning rate is in units of each layer's own step size."),
    "step_rate": Option(
        "Step rate", "Absolute learning rate of step sizes and offsets; None for the rate of everything else.",
        idle=_unlearned("steps", "offsets"),
    ),
    "reach": Option(
        "Reach", "Share of its channel's range by which a weight may move at most; None for no limit.",
        idle=_unlearned("weights"),
    ),
    "schedule": Option(
        "Schedule", '"constant" (published) or "cosine" with a short warm-up; of all rates but that of the rounding.',
        lambda: SCHEDULES,
    ),
    "objective": Option(
        "Objective", "What is minimised net-wise; a name among the objectives.", lambda: OBJECTIVES.names(),
        idle=_of_units,
    ),
    "selection": Option(
        "Selection",
        'Which heads count net-wise: "none" (all), "fast" (the k most sensitive by curve), "exact" (by replacement), '
        'and as controls "bottom" (the k least sensitive), "random" (any k) and "fixed" (by name).',
        lambda: SELECTIONS, idle=_of_units,
    ),
    "heads": Option(
        "Heads", 'The heads of the selection "fixed", by name.',
        idle=lambda now: _of_units(now) or now["selection"] != "fixed",
    ),
    "reselect_every": Option("Reselect every", "Iterations between selections.", idle=_unselected),
    "learn": Option(
        "What is learned",
        "Among weights, rounding (up or down, of each weight), biases, steps (step sizes; with the rounding only those "
        "of activations), offsets (zero points) and norms (of layers, not of batches).", lambda: LEARNABLE,
    ),
    "rounding": Option(
        "Weight of rounding", "Weight of the term that drives the learned rounding to 0 or 1.",
        idle=_unlearned("rounding"),
    ),
    "first_exponent": Option(
        "First β", "β of that term after the warm-up: high values leave undecided weights alone.",
        idle=_unlearned("rounding"),
    ),
    "last_exponent": Option(
        "Last β", "β at the end, reached in a straight line.", idle=_unlearned("rounding")
    ),
    "warm_up": Option(
        "Warm up", "Share of the iterations before that term sets in.", idle=_unlearned("rounding")
    ),
    "drop": Option("Drop", "Probability with which an activation is left at full precision in a step."),
    "augmentation": Option(
        "Augmentation", "Strength of the augmentation of the calibration images, 0 for none.", idle=_of_units
    ),
    "features": Option(
        "Features", "Weight of the term that keeps each block's features near the full-precision ones.", idle=_of_units
    ),
    "rendered": Option(
        "Rendered", "Rendered scenes mixed among the calibration images, as another source.", least=0
    ),
    "check_every": Option(
        "Check every",
        "Iterations between checks of the distortion on the held-back images; units are checked at the end.",
        idle=_of_units,
    ),
}  # fmt: skip
MAIN = tuple(name for name, option in OPTIONS.items() if option.main)


def options_of(method: type[Recipe]) -> dict[str, Option]:
    """The options that a method has, in the order of its fields."""
    own = {each.name: each.metadata.get("option") for each in fields(method) if each.init}
    return {name: option or OPTIONS[name] for name, option in own.items()}


def defaults(method: type[Recipe]) -> dict[str, Any]:
    """The method's own values of its options."""
    config = method()
    return {name: getattr(config, name) for name in options_of(method)}


def in_use(method: type[Recipe], values: Values) -> list[str]:
    """The options that change something, given the values of some and the method's own of the others."""
    now = defaults(method) | dict(values)
    return [name for name, option in options_of(method).items() if not option.idle(now)]


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


def value_of(text: str) -> Any:
    """A number, true, false, null or a list as JSON writes it, a number as people do (.05); any other text as it is."""
    readers: tuple[Callable[[str], Any], ...] = (json.loads, float)
    for read in readers:
        with suppress(ValueError):
            return read(text)
    return text


def as_words(values: Values) -> list[str]:
    """``OPTION=VALUE`` of each value, as ``--set`` takes them; :func:`value_of` reads the values back."""
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]


def as_text(value: Any) -> str:
    """An option's value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def called(name: str) -> str:
    """What reports call an option: its letter, or its label; its name where no method here has it."""
    option = OPTIONS.get(name)
    return (option.sign or option.label) if option else name
