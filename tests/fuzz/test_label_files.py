"""Every frame of a dataset is read rightly or refused by name, whatever wrote its files and whatever happened to them.

``SFCORE_FUZZ=2000 pytest -s tests/fuzz/test_label_files.py`` tries so many datasets, and prints what became of them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.label_files import LAYOUTS, outcomes

COUNT = int(os.environ.get("SFCORE_FUZZ", 0))  # datasets of the long run


@settings(max_examples=60, deadline=None)
@given(layout=st.sampled_from(sorted(LAYOUTS)), seed=st.integers(0, 2**32), harm=st.sampled_from([0.0, 0.1, 0.4]))
def test_frames_are_read_rightly_or_refused_by_name(layout: str, seed: int, harm: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        root.mkdir()
        found = outcomes(root, layout, Random(seed), harm)
    assert found["read"] + found["refused"] == found["tried"]
    assert harm or found["read"] == found["tried"] > 0


@pytest.mark.skipif(not COUNT, reason="the long run: SFCORE_FUZZ=2000")
@pytest.mark.timeout(3600)
def test_the_long_run(tmp_path: Path) -> None:
    done: Counter[str] = Counter()
    for seed in range(COUNT):
        root = tmp_path / "data"
        root.mkdir()
        layout = sorted(LAYOUTS)[seed % len(LAYOUTS)]
        try:
            done += outcomes(root, layout, Random(seed), (0.0, 0.1, 0.4)[seed // len(LAYOUTS) % 3])
        except Exception as error:
            done["wrong"] += 1
            print(f"{layout} {seed}: {type(error).__name__}: {str(error).splitlines()[0]}")
        shutil.rmtree(root)
    print(f"\n{COUNT} datasets:", ", ".join(f"{done[name]} {name}" for name in ("tried", "read", "refused", "wrong")))
    assert not done["wrong"]
