"""How long the element map of a whole GANet head takes: ``python -m benchmarks.elements``.

Of the shipped tiny detector on a sample road, and of the published size. No weights ship for that one, so its heads
are made up: four lanes drawn into the maps, with the errors of a trained network.
"""

from __future__ import annotations

import argparse
import os
import time

import torch

from sfcore.datasets.images import find_images, read_images
from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.registry import create, entry
from sfcore.resources import sample_data
from sfcore.sensitivity.elements import element_map

LANES = ((20, 0.5), (42, 0.1), (58, -0.1), (80, -0.5))  # column at the bottom, cells to the right for each row up


def of_the_sample() -> tuple[Detector, Outputs]:
    """ganet-tiny on the first sample road."""
    detector = create("ganet-tiny")
    with torch.no_grad():
        return detector, detector(detector.preprocess(read_images(find_images([sample_data() / "scenes"], 1))))


def of_published_size() -> tuple[Detector, Outputs]:
    """ganet-small's heads, 40 × 100 cells, as a trained network would fill them for four lanes."""
    detector = entry("ganet-small").build().eval()
    heat, offset = torch.full((1, 1, 40, 100), -6.0), torch.zeros(1, 2, 40, 100)
    columns = torch.arange(100.0)
    for foot, slope in LANES:
        for row in range(8, 40):
            heat[0, 0, row, round(foot + slope * (39 - row))] = 3.0
            near = (columns - foot - slope * (39 - row)).abs() < 8
            offset[0, 0, row] = torch.where(near, foot - columns, offset[0, 0, row])
            offset[0, 1, row] = 39 - row
    error = 0.2 * torch.randn(1, 2, 40, 100, generator=torch.Generator().manual_seed(0))
    return detector, {"cpts": heat, "kpts": heat, "offset": offset, "error": error}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", type=float, default=0.1, help="step of each element, as a share of the head's RMS")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads")
    for name, (detector, outputs) in {"ganet-tiny": of_the_sample(), "ganet-small": of_published_size()}.items():
        lanes = int(detector.decode(outputs).present.sum())
        for head in detector.heads:
            start, cpu = time.perf_counter(), time.process_time()
            found = element_map(detector, outputs, head.name, arguments.level)
            took, cpu = time.perf_counter() - start, time.process_time() - cpu
            print(f"{name} {head.name}: {found.numel()} elements, {lanes} lanes, {took:.2f} s, processor {cpu:.2f} s")


if __name__ == "__main__":
    main()
