"""Networks out of a grammar: quantized, with quantization off, each computes what it did, or is refused by name.

SFCORE_FUZZ=1000 python -m pytest tests/fuzz/test_networks.py -s
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfcore.errors import InputError
from sfcore.quant import Scheme, full_precision, quantize
from sfcore.quant.fidelity import worst_head
from tests.fuzz.networks import Drawn, networks

EXAMPLES = int(os.environ.get("SFCORE_FUZZ", "60"))  # the same ones in each run; others when a number is asked for
ALIKE = "SFCORE_FUZZ" not in os.environ
NEAR = 1e-4  # of a channel's largest value

found: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _figures() -> Iterator[None]:
    yield
    print(f"\nnetworks: {dict(found)}")


def outputs(detector: Drawn, images: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    with torch.no_grad():
        return detector(images)


@settings(
    max_examples=EXAMPLES, derandomize=ALIKE, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(networks(), st.integers(0, 999))
def test_a_copy_with_its_quantizers_off_computes_the_same_or_is_refused(detector: Drawn, seed: int):
    found["tried"] += 1
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (4, 3, *detector.preprocessing.size), dtype=torch.uint8, generator=generator)
    images = detector.preprocessing.normalize(pixels)
    expected = outputs(detector, images)
    state = {name: value.clone() for name, value in detector.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = quantize(detector, Scheme.parse("W8A8"), [images], bias_correction=False)
        except InputError as error:
            found["refused"] += 1
            assert "module" in str(error) or "forward" in str(error)
            return
    with full_precision(model):
        apart = worst_head(expected, outputs(model, images))[1]
    found["wrong" if apart > NEAR else "right"] += 1
    found["with something left in full precision"] += bool(model.full_precision)
    assert apart <= NEAR, f"apart by {apart}: {model.full_precision}"
    assert all(torch.equal(value, detector.state_dict()[name]) for name, value in state.items())
    assert all(torch.isfinite(value).all() for value in outputs(model, images).values())
