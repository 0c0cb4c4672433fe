"""``python -m sfcore.datasets.lidar``: writes the sweeps that ship into sample_data/."""

from __future__ import annotations

from sfcore.datasets.lidar.samples import write_samples
from sfcore.resources import sample_data

if __name__ == "__main__":
    print(write_samples(sample_data()))
