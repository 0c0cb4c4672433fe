"""What really happens in a forward pass: every operation, what it reads and writes, and within which modules."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from sfcore.quant.capture import tensors_in, watching

Memory = StorageWeakRef  # where values lie: what views share, and no later tensor gets while this is kept


@dataclass(frozen=True)
class Operation:
    """One operation of a pass.

    Attributes:
        name: as ATen calls it, without its overload: ``convolution``, ``add_``.
        reads: the tensors among its arguments, those that it writes included.
        writes: those that it changes in place.
        results: what it returns; views share the memory of what they show.
    """

    name: str
    reads: list[Tensor]
    writes: list[Tensor]
    results: list[Tensor]


@dataclass(frozen=True, eq=False)
class Visit:
    """A module that is being called.

    Attributes:
        inputs: the tensors among its arguments.
    """

    module: nn.Module
    inputs: list[Tensor]


class Observer:
    """Is shown a pass; subclasses look at what they need.

    Attributes:
        path: the modules that are being called, the innermost last.
    """

    def __init__(self) -> None:
        self.path: list[Visit] = []

    def entered(self, visit: Visit) -> None:
        """A module is called; it is the last of ``path``."""

    def left(self, visit: Visit, outputs: list[Tensor]) -> None:
        """A module returned; it is still the last of ``path``."""

    def happened(self, operation: Operation) -> None:
        """An operation was carried out."""

    def within(self, modules: Container[nn.Module]) -> bool:
        """Whether one of some modules is being called."""
        return any(visit.module in modules for visit in self.path)


@torch.no_grad()
def observe(model: nn.Module, example: Tensor, observer: Observer) -> list[Tensor]:
    """Run ``model`` on ``example`` under the eyes of ``observer``; returns the tensors that it put out.

    What the observer itself computes is not shown to it.
    """
    mode = _Operations(observer.happened)

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        observer.path.append(Visit(module, tensors_in((args, kwargs))))
        with mode.resting():
            observer.entered(observer.path[-1])

    def after(_: nn.Module, __: Any, output: Any) -> None:
        with mode.resting():
            observer.left(observer.path[-1], tensors_in(output))
        observer.path.pop()

    with watching(model.modules(), before, after), mode:
        return tensors_in(model(example))


def memory_of(tensor: Tensor) -> Memory | None:
    """Where the values of a tensor lie; None for one without memory of its own, such as a sparse one."""
    try:
        return StorageWeakRef(tensor.untyped_storage())
    except (NotImplementedError, RuntimeError):
        return None


def memories(tensors: Sequence[Tensor]) -> list[Memory]:
    """Where the values of some tensors lie, as far as they have memory of their own."""
    return [memory for tensor in tensors if (memory := memory_of(tensor)) is not None]


class _Operations(TorchDispatchMode):
    """Shows each operation to ``see``."""

    def __init__(self, see: Callable[[Operation], None]) -> None:
        super().__init__()
        self._see, self._rests = see, False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and to skip the compiler torch loads it first, which takes a second."""
        return False

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Within the block nothing is shown."""
        self._rests = True
        try:
            yield
        finally:
            self._rests = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self._rests:
            with self.resting():
                name = func._schema.name.rpartition("::")[2]
                written = tensors_in(_written(func._schema.arguments, args, kwargs))
                self._see(Operation(name, tensors_in((args, kwargs)), written, tensors_in(result)))
        return result


def _written(arguments: Sequence[Any], args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """The values of the arguments that an operation's schema says it changes."""
    places = [
        (argument, args[i] if i < len(args) else kwargs.get(argument.name)) for i, argument in enumerate(arguments)
    ]
    return [value for argument, value in places if argument.alias_info is not None and argument.alias_info.is_write]
