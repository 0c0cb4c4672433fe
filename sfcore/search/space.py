"""What a search varies: axes, each an option of the method or the bits, with its values or its range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sfcore.errors import InputError
from sfcore.quant.methods.options import Option, idle, options_of, value_of
from sfcore.quant.methods.recipe import METHODS
from sfcore.quant.scheme import Scheme
from sfcore.runs import RunSpec

BITS = "bits"  # the axis of schemes
LOG = "log"
Value = bool | int | float | str | None


@dataclass(frozen=True)
class Axis:
    """One thing that is varied.

    Attributes:
        name: an option of the method, or BITS.
        values: to choose from; empty for a range.
        low, high: of a range, both within it.
        log: whether a range is searched by factors instead of differences.
        whole: whether a range has whole numbers alone.
    """

    name: str
    values: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @classmethod
    def parse(cls, text: str, method: str) -> Axis:
        """Read ``NAME=VALUE[,VALUE...]`` or ``NAME=LOW:HIGH[:log]``, such as ``lam=0.1:10:log``.

        Raises:
            InputError: it is not of that form, or not what the option may be.
        """
        name, equals, rest = text.partition("=")
        if not (name and equals and rest):
            raise InputError(f"{text!r} varies nothing: write OPTION=VALUE,VALUE or OPTION=LOW:HIGH[:log]")
        name = name.replace("-", "_")
        if name == BITS:
            return cls(name, tuple(str(Scheme.parse(each)) for each in rest.split(",")))
        known = options_of(METHODS[method])
        if name not in known:
            raise InputError(f"{method} has no option {name!r} to vary: choose one of {', '.join((BITS, *known))}")
        if ":" in rest:
            return cls._range(name, rest.split(":"), known[name])
        values = tuple(known[name].taken(value_of(each)) for each in rest.split(","))
        return cls(name, tuple(dict.fromkeys(values)))

    @classmethod
    def _range(cls, name: str, parts: Sequence[str], option: Option) -> Axis:
        ends, scale = [value_of(part) for part in parts[:2]], parts[2:]
        numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
        if not numbers or scale not in ([], [LOG]) or not ends[0] < ends[1]:
            raise InputError(f"{name}={':'.join(parts)} is no range: write LOW:HIGH or LOW:HIGH:{LOG}, LOW the smaller")
        if scale and ends[0] <= 0:
            raise InputError(f"{name}={':'.join(parts)}: a range by factors ({LOG}) begins above 0")
        low, high = (option.taken(end) for end in ends)
        return cls(name, (), low, high, bool(scale), float not in option.kinds)

    @property
    def texts(self) -> tuple[str, ...]:
        """Its values as people write them."""
        return tuple(str(value) for value in self.values)


@dataclass(frozen=True)
class Space:
    """All axes of a search of one method.

    Attributes:
        spec: the run that the trials are variants of.
        axes: in the order given.
    """

    spec: RunSpec
    axes: tuple[Axis, ...]

    @classmethod
    def parse(cls, spec: RunSpec, texts: Sequence[str]) -> Space:
        """Read the axes, and look whether their runs can be carried out.

        Raises:
            InputError: one is wrong, is given twice, or changes nothing in the method; or see :meth:`RunSpec.validate`.
        """
        space = cls.written(spec, texts)
        names = [axis.name for axis in space.axes]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise InputError(f"{twice[0]} is varied twice: give all of its values at once")
        if not names:
            raise InputError("nothing is varied: add --over OPTION=VALUE,VALUE or --over OPTION=LOW:HIGH")
        space.first().validate()
        why = idle(METHODS[spec.method], space.first().options)
        for name in names:
            if name in why:
                raise InputError(f"{name} cannot be varied: {spec.method} {why[name]}; leave it out")
        return space

    @classmethod
    def written(cls, spec: RunSpec, texts: Sequence[str]) -> Space:
        """The axes as they are written, of a search that may be looked at though its images are gone.

        Raises:
            InputError: one is not of the form of :meth:`Axis.parse`.
        """
        return cls(spec, tuple(Axis.parse(text, spec.method) for text in texts))

    def first(self) -> RunSpec:
        """The variant at the beginning of every axis."""
        return self.variant({axis.name: axis.values[0] if axis.values else axis.low for axis in self.axes})

    def variant(self, params: Mapping[str, Any]) -> RunSpec:
        """The run of one trial."""
        options = {name: value for name, value in params.items() if name != BITS}
        return replace(self.spec, scheme=params.get(BITS, self.spec.scheme), options={**self.spec.options, **options})

    def params(self, spec: RunSpec) -> dict[str, Value]:
        """What a trial's run has on each axis."""
        return {axis.name: spec.scheme if axis.name == BITS else spec.options.get(axis.name) for axis in self.axes}

    def points(self) -> list[dict[str, Value]]:
        """Every combination of values, the last axis first.

        Raises:
            InputError: an axis is a range.
        """
        for axis in self.axes:
            if not axis.values:
                raise InputError(f"{axis.name} is a range, which has no grid: list its values")
        return [
            dict(zip((axis.name for axis in self.axes), values, strict=True))
            for values in product(*(axis.values for axis in self.axes))
        ]

    def size(self) -> float:
        """How many combinations there are; infinite where an axis is a range."""
        return math.prod(len(axis.values) or math.inf for axis in self.axes)
