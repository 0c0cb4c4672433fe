"""One operator of an .onnx graph, as the functions that turn it into torch see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from sfcore.errors import InputError

Apply = Callable[..., Any]  # the tensors that an operator reads, to its result, or several in a tuple


@dataclass
class Node:
    """An operator and all that is known of what it reads, with a batch of one.

    Attributes:
        kind: the operator, such as ``Conv``.
        name: of the node, for people and for modules.
        attributes: as Python values; arrays for tensors.
        opset: of the file.
        path: of the file.
        inputs: names of what it reads; empty for an optional one that is left out.
        shapes: of what it reads, in the order of ``inputs``; None for what is left out.
        constants: what of that is known beforehand, by its place.
        outputs: how many results there are up to the last that is used.
        parts: how many results the file names.
        taken: places of the constants that are part of the operation, and not passed to it.
        extra: arrays that are passed to the operation after its inputs, and move with the network.
    """

    kind: str
    name: str
    attributes: dict[str, Any]
    opset: int
    path: Path
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...] | None, ...]
    constants: dict[int, np.ndarray]
    outputs: int = 1
    parts: int = 1
    taken: set[int] = field(default_factory=set)
    extra: list[np.ndarray] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first input."""
        return self.shape_of(0)

    @property
    def rank(self) -> int:
        return len(self.shape)

    def shape_of(self, place: int) -> tuple[int, ...]:
        """Of the input at a place, which must be there."""
        found = self.shapes[place] if place < len(self.shapes) else None
        if found is None:
            raise self.refusal(f"it lacks input {place}")
        return found

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def has(self, place: int) -> bool:
        """Whether there is an input at a place."""
        return place < len(self.inputs) and bool(self.inputs[place])

    def is_constant(self, *places: int) -> bool:
        """Whether the inputs at all places are known beforehand, or left out."""
        return all(not self.has(place) or place in self.constants for place in places)

    def constant(self, place: int) -> np.ndarray | None:
        """The input at a place as part of the operation; None where it is left out.

        Raises:
            InputError: it is computed from the images.
        """
        if not self.has(place):
            return None
        if place not in self.constants:
            raise self.refusal(f"its input {self.inputs[place]} is computed from the images, and must be constant here")
        self.taken.add(place)
        return self.constants[place]

    def ints(self, name: str, place: int | None = None) -> list[int] | None:
        """Whole numbers that are an attribute, or an input in newer opsets; None where they are left out."""
        if name in self.attributes:
            return [int(value) for value in np.ravel(self.attributes[name])]
        found = None if place is None else self.constant(place)
        return None if found is None else [int(value) for value in found.ravel()]

    def axes(self, place: int | None = None) -> list[int] | None:
        """The attribute or input ``axes``, from the front; None where it is left out."""
        found = self.ints("axes", place)
        return None if found is None else [self.from_front(axis) for axis in found]

    def axis(self, default: int = 0) -> int:
        """The attribute ``axis``, from the front."""
        return self.from_front(int(self.get("axis", default)))

    def from_front(self, axis: int, rank: int | None = None) -> int:
        """An axis counted from the front. Raises InputError: there is no such axis."""
        size = self.rank if rank is None else rank
        if not -size <= axis < max(size, 1):
            raise self.refusal(f"there is no axis {axis} in {size}")
        return axis % max(size, 1)

    def require(self, name: str, *allowed: Any) -> Any:
        """An attribute that is one of some values; the first where it is left out. Raises InputError: it is another."""
        found = self.get(name, allowed[0])
        if found not in allowed:
            known = ", ".join(map(str, allowed))
            raise self.refusal(f"{name}={found} is not known here, only {known}")
        return found

    def refusal(self, why: str) -> InputError:
        """That this operator cannot be read."""
        return InputError(
            f"{self.path}: the operator {self.kind} (node {self.name!r}) cannot be read: {why}. Export the network "
            "without it, for instance up to the raw outputs, or write the detector in torch"
        )


@dataclass
class Operation:
    """What an operator becomes.

    Attributes:
        apply: plain tensor code; with a module, what is done to the inputs before it.
        module: the layer, if it is one.
        tied: what layers that are one share: the same weights used in the same way.
    """

    apply: Apply | None
    module: nn.Module | None = None
    tied: tuple[Any, ...] | None = None

    def __call__(self, inputs: Sequence[Tensor | None]) -> Any:
        values: Any = inputs
        if self.apply is not None:
            result = self.apply(*inputs)
            if self.module is None:
                return result
            values = (result,)
        assert self.module is not None
        return self.module(*values)
