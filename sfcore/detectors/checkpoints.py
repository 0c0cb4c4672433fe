"""Finding the weights of a network in what a training script has saved, and loading them.

They are looked for in the whole nesting, below any prefix that names share, and known by fitting the network. Values
are looked at too: a training that diverged is told when its weights are loaded, not by lanes that are nowhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.detectors.serialization import EXPORT, StandIn, read_content
from sfcore.errors import InputError

State = dict[str, Tensor]
MOST_SHARED, SMALL = 16, 2**26  # times a file's bytes that its tensors may have, which may share them; never too many
ROOT = "."  # the name of the weights that a file holds itself
_PROFILING = ("total_ops", "total_params")  # counters that the thop profiler leaves in a saved model
_WRAPPING = ("module", "_orig_mod")  # parts of names that DataParallel and torch.compile leave, anywhere
MOST_HELD = 1_000_000  # things in dictionaries and lists, each as often as it stands there: those may share theirs
_DEEPEST = 6  # levels of dictionaries in each other, and of parts of a name that come before the network's own


class Misfit(InputError):
    """A checkpoint that holds no weights of a detector; others may find theirs in it."""


def read_checkpoint(path: Path) -> State:
    """The tensors of a checkpoint by name, dense and as 32-bit floats where they are floats; nothing in it is run.

    Raises:
        InputError: the file is missing, damaged, holds code, or holds no weights, or several sets of them.
    """
    found = dictionaries(path)
    most = max(map(len, found.values()))
    largest = {name: state for name, state in found.items() if len(state) == most}
    if not _are_one(largest):
        raise InputError(f"{path} holds several sets of weights ({', '.join(largest)}): save the right one alone")
    return next(iter(largest.values()))


def dictionaries(path: Path) -> dict[str, State]:
    """All dictionaries of tensors in a checkpoint by where they are, such as ``ema`` or ``model/state_dict``.

    Raises:
        InputError: see :func:`read_checkpoint`; several are no error here.
    """
    content = read_content(path)
    _check_size(path, content)
    found = dict(_tensors_in(content, ROOT, _DEEPEST))
    if not found:
        raise InputError(
            f"{path} holds no weights: a dictionary of tensors (a state_dict) is expected{_objects(content)}"
        )
    return found


def _check_size(path: Path, content: Any) -> None:
    """Refuse tensors that are far larger than the file that they came from, as repeated or sparse ones may be, and
    lists of lists in which far more stands than the file holds.

    Raises:
        InputError: they are.
    """
    size, written = _size_in(path, content), path.stat().st_size
    if size > MOST_SHARED * written + SMALL:
        raise InputError(
            f"{path} holds tensors of {size / 1e9:.1f} GB in a file of {written / 1e6:.1f} MB: save the weights "
            "themselves, neither expanded nor sparse"
        )


def _size_in(path: Path, content: Any) -> int:
    """Bytes of all tensors in dictionaries and lists, each as often as it stands there, and as it is computed with."""
    size, held, waiting = 0, 0, [(content, _DEEPEST)]
    while waiting:
        each, deepest = waiting.pop()
        if isinstance(each, Tensor):
            size += 0 if each.is_nested else each.numel() * max(each.element_size(), 4)
        elif deepest and isinstance(each, dict | list | tuple):
            held += len(each)
            if held > MOST_HELD:
                raise InputError(f"{path} holds more than {MOST_HELD:,} things in lists: save the weights alone")
            waiting += [(value, deepest - 1) for value in (each.values() if isinstance(each, dict) else each)]
    return size


def _tensors_in(content: Any, name: str, deepest: int) -> Iterator[tuple[str, State]]:
    """The dictionaries of tensors in dictionaries and lists, by their places."""
    if not deepest or not isinstance(content, dict | list | tuple):
        return
    items = list(content.items() if isinstance(content, dict) else enumerate(content))
    own = {str(key): _plain(value) for key, value in items if isinstance(value, Tensor) and not value.is_nested}
    if own and isinstance(content, dict):
        yield name, own
    for key, value in items:
        yield from _tensors_in(value, _below(name, str(key)), deepest - 1)


def _below(name: str, part: str) -> str:
    return part if name == ROOT else f"{name}/{part}"


def _plain(value: Tensor) -> Tensor:
    """A tensor as it is computed with: dense, not quantized, and in 32 bits where it holds floats."""
    value = value.detach()
    value = value.dequantize() if value.is_quantized else value
    value = value if value.layout == torch.strided else value.to_dense()
    return value.float() if value.is_floating_point() else value


def _objects(content: Any) -> str:
    """What a file holds in place of weights, for a message: a whole model, most often."""
    values = content.values() if isinstance(content, dict) else [content]
    found = next((type(value) for value in values if isinstance(value, StandIn)), None)
    return (
        f", and there is an object of {found.__module__}.{found.__name__}, which is never run. {EXPORT}"
        if found
        else ""
    )


def clean_keys(state: State) -> State:
    """Drop profiling counters, what parallel training and compilation leave in names, and a prefix that all share."""
    kept = _unwrapped(_uncounted(state))
    while len({key.partition(".")[0] for key in kept}) == 1 and all("." in key for key in kept):
        kept = {key.partition(".")[2]: value for key, value in kept.items()}
    return kept


def _levels(name: str, state: State) -> Iterator[dict[str, State]]:
    """What a dictionary of tensors may be taken for: itself, then the same below the first parts of its names.

    Names that share their first part have it dropped; else each part has a dictionary of its own, as where two networks
    or a network and a loss were one module.
    """
    level = {name: _uncounted(state)}
    yield level
    level = {name: _unwrapped(level[name])}
    for _ in range(_DEEPEST):
        yield level
        level = {deeper: part for each, whole in level.items() for deeper, part in _parts(each, whole).items()}


def _uncounted(state: State) -> State:
    return {key: value for key, value in state.items() if key.rsplit(".", 1)[-1] not in _PROFILING}


def _unwrapped(state: State) -> State:
    """Names without what parallel training and compilation put into them, unless two would be the same."""
    names = [".".join(part for part in key.split(".") if part not in _WRAPPING) for key in state]
    return dict(zip(names, state.values(), strict=True)) if len({*names}) == len(state) else state


def _parts(name: str, state: State) -> dict[str, State]:
    """A dictionary of tensors by the first parts of their names."""
    parts: dict[str, State] = defaultdict(dict)
    for key, value in state.items():
        first, dot, rest = key.partition(".")
        if dot:
            parts[first][rest] = value
    return {name if len(parts) == 1 else _below(name, first): part for first, part in parts.items()}


def fitting(detector: Detector, found: Mapping[str, State]) -> dict[str, State]:
    """Which :func:`dictionaries` of a checkpoint fit ``detector``, whole or a part; one where all are the same."""
    fit, enough = dict[str, State](), len(detector.state_dict()) // 2
    for name, state in found.items():
        for level in _levels(name, state):
            here = {each: part for each, part in level.items() if len(part) >= enough and _fits(detector, part)}
            fit |= here
            if here:
                break
    return dict([*fit.items()][:1]) if _are_one(fit) else fit


def _fits(detector: Detector, state: State) -> bool:
    with suppress(InputError):  # keys that this detector knows, in a file that lacks what belongs to them
        return not misfit(detector, state)
    return False


def _are_one(states: Mapping[str, State]) -> bool:
    """Whether all are the same tensors under the same names."""
    first, *others = states.values() or [{}]
    return all(
        first.keys() == other.keys() and all(_equal(value, other[key]) for key, value in first.items())
        for other in others
    )


def _equal(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.dtype == other.dtype and one.device == other.device and torch.equal(one, other))


def load_weights(detector: Detector, path: Path, key: str | None = None) -> None:
    """Load a checkpoint into ``detector``; every tensor must fit and hold what can be computed with.

    Args:
        key: which weights, by where they are (:func:`dictionaries`), in a checkpoint that holds several.

    Raises:
        Misfit: keys are missing or unexpected, or shapes differ; the message lists them.
        InputError: several weights fit, there are none at ``key``, or values are not finite or no floats.
    """
    state, own = detector.own_keys(_chosen(detector, path, key)), detector.state_dict()
    if problem := _unusable(state, own):
        raise InputError(
            f"{path.name} has no sound weights ({problem}): choose an earlier checkpoint, or export floats"
        )
    detector.load_state_dict({name: _flushed(value) for name, value in state.items()}, strict=False)


def _chosen(detector: Detector, path: Path, key: str | None) -> State:
    """The weights that fit, at ``key`` or below it. Raises as :func:`load_weights` does."""
    found = dictionaries(path)
    fit = fitting(detector, found)
    if not fit:
        problem = misfit(detector, _nearest(detector, found))
        raise Misfit(f"{path.name} is no checkpoint of this detector ({problem}): choose the one it was trained as")
    chosen = {name: state for name, state in fit.items() if key is None or f"{name}/".startswith(f"{key}/")}
    if len(chosen) != 1:
        what = "several weights" if chosen else f"no weights {key!r}"
        raise InputError(
            f"{path.name} has {what} that fit: choose one of {', '.join(chosen or fit)} (--weights-key KEY)"
        )
    return next(iter(chosen.values()))


def _nearest(detector: Detector, found: Mapping[str, State]) -> State:
    """The tensors with most names in common with those of ``detector``, to say what is wrong with them."""
    own = detector.state_dict().keys()
    parts = [p for name, state in found.items() for level in _levels(name, state) for p in level.values()]
    return max(parts, key=lambda part: (len(own & part.keys()), len(part)))


def misfit(detector: Detector, state: State) -> str:
    """How the tensors of a checkpoint differ from those of ``detector``; empty where they fit."""
    state, own = detector.own_keys(state), detector.state_dict()
    optional = {k for k in own if k.endswith("num_batches_tracked")}
    missing = sorted(own.keys() - state.keys() - optional)
    unexpected = sorted(state.keys() - own.keys())
    shapes = [
        f"{k} {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
        for k in sorted(own.keys() & state.keys())
        if own[k].shape != state[k].shape
    ]
    problems = [("missing", missing), ("unexpected", unexpected), ("of another shape", shapes)]
    return "; ".join(f"{len(keys)} {what}: {_some(keys)}" for what, keys in problems if keys)


def _unusable(state: State, own: State) -> str:
    """Which tensors hold what nothing can be computed with; empty where none does."""
    found = ((name, _fault(name, value, own[name])) for name, value in state.items())
    return _some([f"{name} {fault}" for name, fault in found if fault], 3)


def _fault(name: str, value: Tensor, own: Tensor) -> str:
    if value.is_meta:
        return "has a shape and no values"
    if own.is_floating_point() and not value.is_floating_point():
        return f"is of {value.dtype} where floats belong"
    if wild := int((~value.isfinite() & own.isfinite()).sum()):  # a mask of infinities is the network's own
        return f"has {wild} values that are not finite"
    if name.endswith("running_var") and (negative := int((value < 0).sum())):
        return f"has {negative} negative variances"
    return ""


def _flushed(value: Tensor) -> Tensor:
    """Denormal numbers as zeros, told by their bits: a thread that does not flush them would compute for ages."""
    if value.dtype != torch.float32:
        return value
    bits = value.view(torch.int32) & 0x7FFFFFFF
    return value.masked_fill((bits > 0) & (bits < 0x00800000), 0.0)


def _some(keys: list[str], most: int = 6) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
