"""A device that is none: tensors on it are kept by the CPU, but tell where they are, and mix with no others.

What CUDA would refuse, or do behind one's back, is so seen on a machine without a GPU: an operation on tensors of two
devices, numbers that Python reads out of a tensor (for which a GPU would have to be waited for), and copies from one
device to the other. Device "meta" stands for it, for a build of torch for the CPU guards no tensor of that device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

DEVICE = torch.device("meta")
aten = torch.ops.aten
READS = {aten._local_scalar_dense.default, aten.item.default, aten.equal.default, aten.is_nonzero.default}
COPIES = {aten.copy_.default, aten._to_copy.default}
INDEXED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}  # with a mask they are shaped, too
# Operations whose result has a shape that depends on numbers, so that a GPU is waited for.
SHAPED = {
    aten.nonzero.default, aten.masked_select.default, aten._unique2.default, aten.unique_dim.default,
    aten.unique_consecutive.default, aten.repeat_interleave.Tensor,
}  # fmt: skip


class Mixed(AssertionError):
    """An operation was given tensors of two devices."""


class Apart(Tensor):
    """A tensor on the device. Its numbers lie in ``inner``."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> Apart:
        return Tensor._make_wrapper_subclass(  # type: ignore[attr-defined,no-any-return]
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=DEVICE,
        )  # fmt: skip

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"Apart({tuple(self.shape)}, {self.dtype})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copy: Tensor = Apart(self.inner.detach().clone())
        if isinstance(self, nn.Parameter):
            copy = nn.Parameter(copy, self.requires_grad)
        memo[id(self)] = copy
        return copy

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, None)


@dataclass
class Seen:
    """What a GPU would have been waited for.

    Attributes:
        reads: operations by which Python read numbers from the device.
        copies: operations by which tensors left it or came to it.
        shaped: those whose results' shapes depend on numbers.
    """

    reads: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    shaped: list[str] = field(default_factory=list)

    def forget(self) -> None:
        for each in (self.reads, self.copies, self.shaped):
            each.clear()


class _Operations(TorchDispatchMode):
    """Runs operations on the device and writes down what they do."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, self.seen)


class _Makers(TorchFunctionMode):
    """Makes tensors of Python's numbers on the device: a copy from the CPU."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        target = kwargs.get("device")
        if func is Tensor.new_tensor and isinstance(args[0], Apart):
            kwargs = {"dtype": args[0].dtype} | kwargs
            func, args, target = torch.tensor, args[1:], target or DEVICE
        if func is Tensor.tolist and isinstance(args[0], Apart):
            self.seen.reads.append("tolist")
            return args[0].inner.tolist()
        makes = func in (torch.tensor, torch.as_tensor, torch.asarray)
        if makes and target is not None and torch.device(target) == DEVICE:
            return func(*args, **kwargs | {"device": "cpu"}).to(DEVICE)
        return func(*args, **kwargs)


@contextmanager
def watching() -> Iterator[Seen]:
    """While it is entered, tensors can be made on the device, and what happens there is written down."""
    seen = Seen()
    with _Makers(seen), _Operations(seen):
        yield seen


def to_device(module: nn.Module) -> nn.Module:
    """Move a module there, in place."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                part._parameters[name] = nn.Parameter(Apart(value.detach().clone()), value.requires_grad)
        for name, value in part._buffers.items():
            if value is not None:
                part._buffers[name] = Apart(value.detach().clone())
    return module


@contextmanager
def generators() -> Iterator[None]:
    """Let generators be asked for on the device; the CPU draws."""
    true = torch.Generator

    class Generator(true):  # type: ignore[misc,valid-type]
        def __new__(cls, device: Any = "cpu") -> Any:
            return true.__new__(true)

    torch.Generator = Generator  # type: ignore[misc]
    try:
        yield
    finally:
        torch.Generator = true  # type: ignore[misc]


def _run(func: Any, args: Any, kwargs: dict[str, Any], seen: Seen | None) -> Any:
    flat, spec = tree_flatten((args, kwargs))
    there = [value for value in flat if isinstance(value, Apart)]
    here = [value for value in flat if isinstance(value, Tensor) and not isinstance(value, Apart) and value.dim()]
    target = kwargs.get("device")
    leaves = func in COPIES and (target is not None or func is aten.copy_.default)
    if there and here and not leaves:
        shapes = [(tuple(value.shape), "there" if isinstance(value, Apart) else "here") for value in (*there, *here)]
        raise Mixed(f"{func} was given tensors of two devices: {shapes}")
    if seen is not None and (there or target == DEVICE):
        _note(seen, func, flat, here, kwargs)
    inner = [value.inner if isinstance(value, Apart) else value for value in flat]
    inner = [torch.device("cpu") if isinstance(value, torch.device) and value == DEVICE else value for value in inner]
    inner_args, inner_kwargs = tree_unflatten(inner, spec)
    result = func(*inner_args, **inner_kwargs)
    stays = target == DEVICE if target is not None else bool(there)
    if not stays:
        return result
    known = {id(value.inner): value for value in there}
    return tree_map(lambda value: known.get(id(value), Apart(value)) if isinstance(value, Tensor) else value, result)


def _note(seen: Seen, func: Any, flat: list[Any], here: list[Tensor], kwargs: dict[str, Any]) -> None:
    """Write down what a GPU is waited for. What goes to it without blocking is not: the CPU goes on."""
    target = kwargs.get("device")
    masks = [v for v in flat[1:] if isinstance(v, Apart) and v.dtype == torch.bool]
    if func in READS:
        seen.reads.append(str(func))
    elif func in SHAPED or (func in INDEXED and masks):
        seen.shaped.append(str(func))
    elif func in COPIES and (here or target not in (None, DEVICE)) and not (here and kwargs.get("non_blocking")):
        seen.copies.append(str(func))
