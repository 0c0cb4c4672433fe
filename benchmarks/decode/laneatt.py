"""The published post-process of LaneATT, from a clone of https://github.com/lucastabelini/LaneATT.

Its suppression is a CUDA kernel. The two functions of ``nms_kernel.cu`` that hold the work, the comparison of two
proposals and the choice, are plain C++ and are compiled for the CPU as they stand (this needs g++).
"""

from __future__ import annotations

import ctypes
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Outputs
from sfcore.detectors.laneatt import LaneATT
from sfcore.errors import InputError

Suppress = Callable[[Tensor, Tensor, float, int], tuple[Tensor, int, None]]

BEFORE = """
#include <algorithm>
#include <cstdint>
#include <vector>
using std::max; using std::min;
#define __device__
#define __global__
typedef float scalar_t;
int64_t const threadsPerBlock = 64;
"""
AFTER = """
extern "C"
int64_t suppress(const float* boxes, const int64_t* order, int64_t n, float near, int64_t most, int64_t* keep) {
  int64_t blocks = DIVUP(n, threadsPerBlock), kept = 0;
  std::vector<int64_t> mask(n * blocks, 0), parent(n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i + 1; j < n; ++j)
      if (devIoU(boxes + order[i] * PROP_SIZE, boxes + order[j] * PROP_SIZE, near))
        mask[i * blocks + j / 64] |= (int64_t)(1ULL << (j % 64));
  nms_collect(n, blocks, most, order, mask.data(), keep, parent.data(), &kept);
  return kept;
}
"""


def compiled(kernel: Path) -> ctypes.CDLL:
    """The kernel's functions as a library for the CPU. Raises InputError: it cannot be compiled."""
    source = kernel.read_text()
    defines = [line for line in source.splitlines() if line.startswith("#define") and "CHECK" not in line]
    compare = source[source.index("__device__ inline bool devIoU") : source.index("__global__ void nms_kernel")]
    compare = compare.rsplit("template", 1)[0]
    collect = source[source.index("__global__ void nms_collect") : source.index("#define CHECK_CONTIGUOUS")]
    with tempfile.TemporaryDirectory() as folder:
        code, library = Path(folder, "nms.cpp"), Path(folder, "nms.so")
        code.write_text("\n".join([BEFORE, *defines, compare, collect, AFTER]))
        command = ["g++", "-O2", "-shared", "-fPIC", "-o", str(library), str(code)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise InputError(f"{kernel} cannot be compiled for the CPU ({error}): install g++") from error
        loaded = ctypes.CDLL(str(library))
    loaded.suppress.restype = ctypes.c_int64
    return loaded


def suppression(library: ctypes.CDLL) -> Suppress:
    """What the published module ``nms`` offers, on the CPU."""

    def nms(boxes: Tensor, scores: Tensor, overlap: float, top_k: int) -> tuple[Tensor, int, None]:
        boxes, order = boxes.contiguous(), torch.sort(scores, descending=True, stable=True).indices
        keep = torch.zeros_like(order)
        pointers = [ctypes.c_void_p(value.data_ptr()) for value in (boxes, order, keep)]
        numbers = ctypes.c_int64(len(boxes)), ctypes.c_float(overlap), ctypes.c_int64(top_k)
        return keep, library.suppress(*pointers[:2], *numbers, pointers[2]), None

    return nms


def stand_in(name: str, **content: object) -> None:
    """A module in place of one that the post-process imports and does not need, or cannot have here."""
    module = ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module


def published(repo: Path, detector: LaneATT) -> Callable[[Outputs, int], object]:
    """What decodes image i of the outputs as the published test for CULane does: columns at all rows of pixels."""
    stand_in("nms", nms=suppression(compiled(repo / "lib/nms/src/nms_kernel.cu")))
    stand_in("torchvision")
    stand_in("torchvision.models", resnet18=None, resnet34=None)
    sys.path.insert(0, str(repo))
    kind = importlib.import_module("lib.models.laneatt").LaneATT
    network = kind.__new__(kind)  # its constructor would build the network
    nn.Module.__init__(network)
    rows = detector.lines.shape[1]
    network.img_w, network.n_strips = detector.preprocessing.size[1], rows - 1
    network.anchor_ys = torch.linspace(1, 0, rows)
    anchors = torch.zeros(len(detector.anchors), 5 + rows)
    anchors[:, 2], anchors[:, 3], anchors[:, 5:] = 1 - detector.anchors[:, 1], detector.anchors[:, 0], detector.lines
    network.anchors, attention = anchors, torch.zeros(1, len(anchors), 1)
    heights, chosen = np.arange(detector.frame[0]) / detector.frame[0], detector.choice

    def decode(outputs: Outputs, image: int) -> object:
        proposals = anchors.clone()
        proposals[:, :2], proposals[:, 4:5] = outputs["logits"][image], outputs["length"][image]
        proposals[:, 5:] += outputs["offset"][image]
        kept = network.nms(proposals.unsqueeze(0), attention, chosen.near, chosen.lanes, chosen.confidence)
        return [lane(heights) for lane in network.decode(kept, as_lanes=True)[0]]

    return decode
