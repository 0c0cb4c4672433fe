"""Reading checkpoints without running what is in them, and fitting their keys to a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.errors import InputError

State = dict[str, Tensor]
_PROFILING = ("total_ops", "total_params")  # counters that the thop profiler leaves in a saved model
_WRAPPERS = ("state_dict", "model", "net", "model_state_dict")  # where training scripts put the weights
_PREFIXES = ("module.", "model.module.")  # left by DataParallel


def read_checkpoint(path: Path) -> State:
    """The tensors of a checkpoint by name; nothing in the file is executed.

    Raises:
        InputError: the file is missing, damaged, holds code, or holds no weights.
    """
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}: check the path")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise InputError(
            f"{path} is no readable safetensors file ({_short(error)}): copy or export it again"
        ) from error
    except Exception as error:  # torch.load raises many types; all mean that the file cannot be used
        raise InputError(
            f"{path} cannot be read as plain weights ({_short(error)}): it is damaged or holds code, which is "
            "never run. Export it with safetensors.torch.save_file(model.state_dict(), ...)"
        ) from error
    return _tensors(content, path)


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says about its weights: score, seed, input size; empty where it says nothing.

    Raises:
        InputError: the file is missing or damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is no readable safetensors file ({_short(error)}): check the path") from error


def _tensors(content: Any, path: Path) -> State:
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not any(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{path} holds no weights: a dictionary of tensors (a state_dict) is expected")
    return {str(k): v for k, v in content.items() if isinstance(v, Tensor)}


def clean_keys(state: State) -> State:
    """Drop profiling counters and the prefixes that parallel training leaves."""
    kept = {k: v for k, v in state.items() if k.rsplit(".", 1)[-1] not in _PROFILING}
    for prefix in _PREFIXES:
        if kept and all(k.startswith(prefix) for k in kept):
            kept = {k.removeprefix(prefix): v for k, v in kept.items()}
    return kept


def load_weights(detector: Detector, path: Path) -> None:
    """Load a checkpoint into ``detector``; every tensor must fit.

    Raises:
        InputError: keys are missing or unexpected, or shapes differ; the message lists them.
    """
    state = clean_keys(read_checkpoint(path))
    if problem := misfit(detector, state):
        raise InputError(f"{path.name} is no checkpoint of this detector ({problem}): choose the one it was trained as")
    detector.load_state_dict(detector.own_keys(state), strict=False)


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


def _some(keys: list[str], most: int = 6) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
