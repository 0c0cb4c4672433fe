"""The options of methods as data: what each is called, says, may be, and when it changes nothing.

The method's own checks, the command line, the form, the sweep, the bench, the report and the run's specification all
derive from here. A method declares an option as a field, with :func:`option`; a field of the same name in a subclass
changes its default alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from sfcore.errors import InputError

if TYPE_CHECKING:
    from sfcore.quant.methods.recipe import Recipe

MAIN = ("k", "lam", "iterations", "batch", "learning_rate")  # forms show them at once, commands have a flag for each
NAMES = tuple[str, ...]
KINDS: dict[Any, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a name",
    NAMES: "names with commas between them", NoneType: "null",
}  # fmt: skip

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """One option of a method.

    Attributes:
        label: what forms call it.
        tooltip: one or two sentences.
        sign: the letter that it has in equations, if any: reports and messages call it so.
        choices: the names there are, as a tuple or a registry; empty where any will do.
        least, most, above: bounds of a number, the last of which it must exceed.
        none: what null stands for, where it may be null.
        idle: why it changes nothing, given the values of all options, as what follows a method's name; "" where it does
            change something.
        name, kinds: of its field, and the types that its value may have; see :func:`options_of`.
    """

    label: str
    tooltip: str
    sign: str = ""
    choices: Iterable[str] = ()
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    none: str = ""
    idle: Callable[[Values], str] = lambda _: ""
    name: str = ""
    kinds: tuple[Any, ...] = ()

    @property
    def optional(self) -> bool:
        """Whether it may be null."""
        return NoneType in self.kinds

    @property
    def called(self) -> str:
        """What reports call it."""
        return self.sign or self.label

    def taken(self, value: Any) -> Any:
        """A value as a file, a form or a command gives it, as the method holds it.

        Names may be a list, or a text with commas.

        Raises:
            InputError: it is of a wrong type, out of range or none of the choices.
        """
        if NAMES in self.kinds and isinstance(value, str | list):
            value = tuple(value.split(",") if isinstance(value, str) else value)
        if KINDS.keys() >= {*self.kinds} and not any(_fits(value, kind) for kind in self.kinds):
            said = " or ".join(KINDS[kind] for kind in self.kinds)
            raise InputError(f"{self.sign or self.name} = {value!r}: it must be {said}")
        if not self._within(value):
            otherwise = f", or None for {self.none}" if self.none else ""
            raise InputError(f"{self.sign or self.name} = {value}: {self._wanted()}{otherwise}")
        choices = tuple(self.choices)
        if choices and isinstance(value, str) and value not in choices:
            raise InputError(f"there is no {self.name} {value!r}: choose one of {', '.join(choices)}")
        return value

    def _within(self, value: Any) -> bool:
        """Whether a number lies within its bounds, and is one that JSON has."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return self.least <= value <= self.most and self.above < value < math.inf

    def _wanted(self) -> str:
        if self.most < math.inf:
            return f"choose a number from {self.least:g} to {self.most:g}"
        if self.above > -math.inf:
            return f"it must be a number greater than {self.above:g}"
        return f"choose {self.least:g} or more" if self.least > -math.inf else "it must be a finite number"


def _fits(value: Any, kind: Any) -> bool:
    if kind == NAMES:
        return isinstance(value, tuple) and all(isinstance(name, str) for name in value)
    return isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))


def option(default: Any, label: str, tooltip: str, **more: Any) -> Any:
    """The field of an option.

    Args:
        default: the value unless another is given.
        more: see :class:`Option`.
    """
    return field(default=default, metadata={"option": Option(label, tooltip, **more)})


def options_of(method: type[Recipe]) -> dict[str, Option]:
    """The options that a method has, in the order of its fields."""
    return dict(_options_of(method))  # type: ignore[arg-type]  # a class is hashable


@cache
def _options_of(method: type[Recipe]) -> dict[str, Option]:
    hints = get_type_hints(method)
    return {
        each.name: replace(_declared(method, each.name), name=each.name, kinds=_kinds(hints[each.name]))
        for each in fields(method)
        if each.init
    }


def _declared(method: type[Recipe], name: str) -> Option:
    """What the nearest of a method and its bases that says anything of an option says of it."""
    for base in method.__mro__:
        own = vars(base).get("__dataclass_fields__", {})
        if name in own and "option" in own[name].metadata:
            declared: Option = own[name].metadata["option"]
            return declared
    return Option(name.replace("_", " ").capitalize(), "")


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if isinstance(hint, UnionType) else (hint,)


def defaults(method: type[Recipe]) -> dict[str, Any]:
    """The method's own values of its options."""
    config = method()
    return {name: getattr(config, name) for name in options_of(method)}


def idle(method: type[Recipe], values: Values) -> dict[str, str]:
    """Which options change nothing, and why, given the values of some and the method's own of the others.

    Each reason follows a method's name: "selects no heads".
    """
    now = asdict(method()) | dict(values)
    reasons = {name: option.idle(now) for name, option in options_of(method).items()}
    return {name: why for name, why in reasons.items() if why}


def in_use(method: type[Recipe], values: Values) -> list[str]:
    """The options that change something, given the values of some and the method's own of the others."""
    unused = idle(method, values)
    return [name for name in options_of(method) if name not in unused]


def value_of(text: str) -> Any:
    """A number, true, false, null or a list as JSON writes it, a number as people do (.05); any other text as it is."""
    readers: tuple[Callable[[str], Any], ...] = (json.loads, float)
    for read in readers:
        with suppress(ValueError):
            return read(text)
    return text


def as_words(values: Values) -> list[str]:
    """``OPTION=VALUE`` of each value, as ``--set`` takes them; :func:`value_of` reads the values back."""

    def written(value: Any) -> str:
        plain = isinstance(value, str) and value_of(value) == value
        return value if plain else json.dumps(value)

    return [f"{name}={written(value)}" for name, value in values.items()]


def as_text(value: Any) -> str:
    """An option's value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
