"""Checkpoints of LaneATT's published codes, which do not hold the anchors that their weights were trained for.

Both codes choose the 1000 anchors at the start, by how often lanes of CULane match each of 2784. These numbers are
in the file ``culane_anchors_freq.pt`` of the author's repository, which must be joined to a checkpoint once::

    python -m sfcore.detectors.laneatt_published CHECKPOINT culane_anchors_freq.pt OUT.safetensors
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from sfcore.detectors.checkpoints import clean_keys, read_checkpoint
from sfcore.detectors.laneatt_anchors import PUBLISHED
from sfcore.errors import InputError
from sfcore.files import write_atomic

MODULE = "sfcore.detectors.laneatt_published"
FREQUENCY = "anchors_freq"  # the key of the joined numbers
SMALL = 10  # parts that torch 1.6 does not split any more
NAMES = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}  # of numbered modules


def own_keys(state: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    """A published checkpoint with its anchors joined, as this project saves LaneATT; another one as it is.

    The author's code numbers the ResNet's modules and reads images as BGR. That of pytorch-auto-drive names them,
    reads RGB and counts lengths from the share of the width where an anchor starts.

    Raises:
        InputError: the numbers that choose the anchors are missing or too few.
    """
    if "anchors" in state or "attention_layer.weight" not in state:
        return state
    state = dict(state)
    frequency = _frequency(state.pop(FREQUENCY, None))
    anchors = PUBLISHED.anchors()[most_frequent(frequency.tolist())[:count]]
    if "backbone.conv1.weight" in state:
        state["backbone.conv1.weight"] = state["backbone.conv1.weight"].flip(1)
        anchors[:, 3] = anchors[:, 0]
    return {_named(key): value for key, value in state.items()} | {"anchors": anchors}


def most_frequent(frequency: list[int]) -> list[int]:
    """Places of the numbers from the largest to the smallest, equals in the order in which torch 1.6 leaves them.

    The author's models were trained with it, and ``attention_layer`` knows its anchors by their order. It sorts by
    quicksort (median of three, parts of up to ten left as they are), then by insertion, which is stable.
    """
    order, parts = list(range(len(frequency))), [(0, len(frequency) - 1)]

    def swap(a: int, b: int) -> None:
        order[a], order[b] = order[b], order[a]

    while parts:
        low, high = parts.pop()
        if high - low < SMALL:
            continue
        swap((low + high) // 2, low + 1)
        for a, b in ((low + 1, high), (low, high), (low + 1, low)):
            if frequency[order[b]] > frequency[order[a]]:
                swap(a, b)
        i, j = _partition(order, frequency, low, high)
        parts += [(low, j - 1), (i, high)]
    return sorted(order, key=lambda place: -frequency[place])


def _partition(order: list[int], frequency: list[int], low: int, high: int) -> tuple[int, int]:
    """Move what is larger than the pivot, at ``low``, before it; where the part after it starts, where it stands."""
    i, j, pivot = low + 1, high, frequency[order[low]]
    while True:
        i += 1
        while frequency[order[i]] > pivot:
            i += 1
        j -= 1
        while frequency[order[j]] < pivot:
            j -= 1
        if j < i:
            break
        order[i], order[j] = order[j], order[i]
    order[low], order[j] = order[j], order[low]
    return i, j


def _named(key: str) -> str:
    """The key of a ResNet's tensor that the author's code numbers; any other as it is."""
    start, _, rest = key.partition(".")
    number, _, rest = rest.partition(".")
    return f"backbone.{NAMES[number]}.{rest}" if start == "feature_extractor" and number in NAMES else key


def _frequency(found: Tensor | None) -> Tensor:
    total = len(PUBLISHED.anchors())
    if found is None:
        raise InputError(
            "this LaneATT checkpoint does not say which anchors it was trained with: get culane_anchors_freq.pt from "
            "the folder data of https://github.com/lucastabelini/LaneATT and join the two once by "
            f"python -m {MODULE} CHECKPOINT culane_anchors_freq.pt OUT.safetensors"
        )
    if found.shape != (total,):
        raise InputError(
            f"the anchor frequencies have shape {tuple(found.shape)}: one number for each of {total} anchors is "
            "needed, as in culane_anchors_freq.pt"
        )
    return found


def join(checkpoint: Path, frequency: Path, out: Path) -> None:
    """Write ``checkpoint`` with the numbers that choose its anchors, as one safetensors file.

    Raises:
        InputError: a file is missing or unreadable, or the numbers do not fit.
    """
    state = clean_keys(read_checkpoint(checkpoint))
    state[FREQUENCY] = _frequency(_numbers(frequency))
    write_atomic(out, save({key: value.contiguous() for key, value in state.items()}))


def _numbers(path: Path) -> Tensor | None:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many types; all mean that the file cannot be used
        raise InputError(f"{path} cannot be read as a tensor: give culane_anchors_freq.pt as published") from error
    return found if isinstance(found, Tensor) else None


def main(arguments: list[str] | None = None) -> int:
    """Join a checkpoint and its anchors' frequencies; returns the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description="Join anchors to a LaneATT checkpoint.")
    for name in ("checkpoint", "frequency", "out"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args(arguments)
    try:
        join(given.checkpoint, given.frequency, given.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
