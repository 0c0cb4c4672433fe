"""``sfcore deploy-check``: the keys that scripts read, the sentences that people read, and what is refused."""

from __future__ import annotations

import pytest

from sfcore.resources import sample_data
from tests.cli.conftest import Command

SCENES = sample_data() / "scenes"
CALIBRATED = ("--bits", "W8A8-portable-adds", "--calibration", SCENES)


@pytest.mark.slow
def test_what_engines_find_is_said_under_the_names_of_the_contract(sfcore_: Command) -> None:
    words = ("--images", SCENES, "--limit", "2", "--engines", "onnxruntime", "openvino")
    found = sfcore_.json("deploy-check", "ganet-tiny", *CALIBRATED, *words)
    assert found["images"] == 2
    assert list(found["engines"]) == ["simulation", "onnxruntime", "openvino"]
    assert {"layout", "batch", "float64"} <= set(found["repeatability"])
    for each in (*found["engines"].values(), *found["repeatability"].values()):
        assert {"f1", "distortion", "shift_px"} <= set(each)
    assert all({"median_ms", "p95_ms"} <= set(each) for each in found["latency"].values())
    assert found["scheme"]["bits"] == "W8A8-adds-portable" and found["metrics"] == {}


def test_what_is_wrong_is_said_in_a_line(sfcore_: Command) -> None:
    words = ("--images", SCENES, "--engines", "onnxruntime")
    assert "neither a run nor a detector 'nothing'" in sfcore_.error("deploy-check", "nothing", *words)
    assert "no quantized model to export" in sfcore_.error("deploy-check", "ganet-tiny", *words)
    more = (*CALIBRATED, "--images", SCENES, "--engines", "tensorrt")
    assert "there is no engine 'tensorrt': choose one of" in sfcore_.error("deploy-check", "ganet-tiny", *more)
