"""The commands, as a script calls them: JSON on stdout, one line for what is wrong, exit codes."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sfcore.cli.console import Progress, duration, table
from sfcore.detectors import registry
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from sfcore.runs.results import load_model
from tests.cli.conftest import Command


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LSTR as it is before training: it finds nonsense, which is enough here."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    save_file(registry.entry("lstr-r18s").build().state_dict(), path)
    return path


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        image = np.random.default_rng(index).integers(0, 256, (90, 160, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return folder


def test_detectors_are_listed_with_their_heads(sfcore_: Command) -> None:
    found = {entry["name"]: entry for entry in sfcore_.json("detectors")}
    assert set(found["lstr-r18s"]) == {"name", "task", "input", "heads", "weights", "f1"}
    assert (found["lstr-r18s"]["task"], found["lstr-r18s"]["input"]) == ("lanes", "image")
    assert found["lstr-r18s"]["heads"][1] == {"name": "extent", "role": "semantics", "confidence": "logits"}
    assert "lstr-r18s" in sfcore_("detectors")[1]


def test_detect_gives_lanes_in_the_pixels_of_each_image(
    sfcore_: Command, frames: Path, tmp_path: Path, weights: Path
) -> None:
    out = tmp_path / "out"
    found = sfcore_.json("detect", "lstr-r18s", frames, "--weights", weights, "--out", out)
    assert [image["file"] for image in found["images"]] == [str(frames / f"{i}.png") for i in range(3)]
    assert {(image["width"], image["height"]) for image in found["images"]} == {(160, 90)}
    points = np.concatenate(
        [lane["points"] for image in found["images"] for lane in image["lanes"]] or [np.zeros((0, 2))]
    )
    assert ((points >= 0) & (points <= (160, 90))).all()
    assert json.loads((out / "lanes.json").read_text()) == found
    assert [cv2.imread(str(p)).shape for p in sorted(out.glob("*.png"))] == [(90, 160, 3)] * 3


def test_detect_finds_the_lanes_of_a_real_frame(sfcore_: Command, real_data: Path, lstr_weights: Path) -> None:
    frame = real_data / "tusimple6" / "0001.png"
    (image,) = sfcore_.json("detect", "lstr-r18s", frame, "--weights", lstr_weights)["images"]
    assert (image["width"], image["height"]) == (1280, 720)
    assert len(image["lanes"]) >= 3
    for lane in image["lanes"]:
        (x0, y0), (x1, y1) = lane["points"][0], lane["points"][-1]
        assert lane["score"] > 0.5 and y0 > y1
        assert min(x0, x1) >= 0 and max(x0, x1) < 1280


def test_curves_are_written_and_printed(sfcore_: Command, frames: Path, tmp_path: Path, lstr_weights: Path) -> None:
    out = tmp_path / "curves"
    sizes = ("--limit", 2, "--levels", 3, "--reruns", 2)
    found = sfcore_.json("curves", "lstr-r18s", "--images", frames, "--weights", lstr_weights, "--out", out, *sizes)
    assert found["seconds"] > 0
    assert list(found["heads"]) == ["logits", "extent", "shared", "own"]
    for curve in found["heads"].values():
        assert [len(curve[key]) for key in ("noise", "score", "low", "high")] == [3] * 4
    assert (out / "curves.csv").read_text().startswith("head,noise,score,low,high")
    assert cv2.imread(str(out / "curves.png")).shape[1] > 800


def test_curves_of_several_detectors_make_one_picture(sfcore_: Command, frames: Path, tmp_path: Path) -> None:
    sizes = ("--limit", 2, "--levels", 2, "--reruns", 1)
    words = ("--images", frames, "--out", tmp_path, *sizes)
    both = sfcore_.json("curves", "lstr-tiny", "ganet-tiny", *words)["detectors"]
    alone = sfcore_.json("curves", "ganet-tiny", "--images", frames, "--out", tmp_path / "alone", *sizes)
    assert both["ganet-tiny"]["heads"] == alone["heads"]
    assert (tmp_path / "ganet-tiny" / "curves.csv").is_file() and (tmp_path / "curves.png").is_file()


def test_one_checkpoint_is_not_taken_for_two_detectors(sfcore_: Command, frames: Path, tmp_path: Path) -> None:
    words = ("curves", "ganet-tiny", "lstr-r18s", "--weights", "x.pth", "--images", frames, "--out", tmp_path)
    code, _, said = sfcore_(*words)
    assert code != 0 and "--weights with 2 detectors" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["detect", "yolo", "{frames}"], "no detector 'yolo'"),
        (["detect", "lstr-r18s", "{frames}"], "ships no weights"),
        (["detect", "lstr-r18s", "{empty}", "--weights", "{weights}"], "holds no images"),
        (["detect", "lstr-r18s", "{frames}", "--weights", "{empty}"], "no checkpoint"),
        (["detect", "lstr-r18s", "{frames}", "--weights", "{weights}", "--device", "tpu"], "no device 'tpu'"),
        (
            [
                "curves",
                "lstr-r18s",
                "--images",
                "{frames}",
                "--weights",
                "{weights}",
                "--out",
                "{out}",
                "--levels",
                "1",
            ],
            "levels",
        ),
        (
            ["curves", "lstr-r18s", "--images", "{frames}", "--weights", "{weights}", "--out", "{out}", "--limit", "0"],
            "0",
        ),
        (["runs", "show", "{empty}"], "no run folder"),
        (["compare", "{empty}", "--images", "{frames}"], "no run folder"),
    ],
)
def test_bad_input_is_one_line(
    sfcore_: Command, frames: Path, tmp_path: Path, weights: Path, words: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"frames": frames, "empty": tmp_path / "empty", "weights": weights, "out": tmp_path / "out"}
    assert said in sfcore_.error(*(word.format(**places) for word in words))


def tune(frames: Path, weights: Path, out: Path, **options: object) -> list[object]:
    given = {"bits": "W4A4", "method": "selective-focus", "iterations": 1} | options
    words = [part for name, value in given.items() for part in (f"--{name}", value)]
    return ["tune", "lstr-r18s", "--images", frames, "--weights", weights, "--out", out, *words]


def test_a_run_from_tuning_to_comparison(sfcore_: Command, frames: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "first"
    words = tune(frames, weights, out, batch=1, k=1)
    done = sfcore_.json(*words)
    assert done["status"] == "done" and done["spec"]["options"] == {"k": 1, "iterations": 1, "batch": 1}
    assert done["last"]["iteration"] == 1 and len(done["last"]["selected"]) == 1
    assert (out / "curves.csv").is_file() and (out / "model.safetensors").is_file()
    assert set(done["scheme"]) == {"name", "average_weight_bits", "average_activation_bits", "bops"}
    assert done["scheme"]["name"] == "W4A4" and 4 < done["scheme"]["average_weight_bits"] < 8
    assert f"{done['scheme']['average_weight_bits']:.2f} bits a weight" in sfcore_("runs", "show", out)[1]

    assert sfcore_.json(*words)["ended"] == done["ended"]  # it is done: nothing happens again
    assert "holds another run" in sfcore_.error(*tune(frames, weights, out, batch=1, k=2))

    found = sfcore_.json("compare", out, "--images", frames / "0.png", "--images", frames)
    assert found["images"] == 4 and found["scheme"] == done["scheme"]
    for model in ("calibrated", "tuned"):
        assert {"f1", "distortion", "shift_px"} <= set(found[model])

    (listed,) = sfcore_.json("runs", "list", "--root", tmp_path / "runs")
    assert (listed["status"], listed["method"], listed["scheme"]) == ("done", "selective-focus", "W4A4")
    assert sfcore_.json("runs", "show", out)["result"] == done["result"]
    assert "nothing to stop" in sfcore_.error("runs", "stop", out)


def test_a_scheme_file_stays_with_the_run_that_took_it(sfcore_: Command, tmp_path: Path) -> None:
    layers = {f"*.layer{number}*": {"weights": 6} for number in range(30)}
    scheme, out = tmp_path / "scheme.json", tmp_path / "runs" / "mixed"
    scheme.write_text(json.dumps({"format": 1, "scheme": "W4A4", "layers": {"heads": 16, **layers}}))
    words = ["tune", "scnn-tiny", "--images", sample_data() / "scenes", "--limit", 2, "--method", "calibrate"]
    done = sfcore_.json(*words, "--no-bias-correction", "--bits", scheme, "--out", out)
    assert done["spec"]["scheme"].startswith("W4A4,heads=16,*.layer0*=W6,")
    assert done["scheme"]["name"] == "W4A4 with 31 rules" and done["scheme"]["average_weight_bits"] > 11
    scheme.unlink()
    assert sfcore_.json("compare", out, "--images", sample_data() / "scenes", "--limit", 1)["scheme"] == done["scheme"]
    assert "W4A4 with 31 rules" in sfcore_("runs", "list", "--root", out.parent)[1]
    assert sfcore_.json("runs", "list", "--root", out.parent)[0]["scheme"] == done["spec"]["scheme"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("bits", "W0A8", "0 weight bits"),
        ("bits", "W8A64", "64 activation bits"),
        ("bits", "8", "no scheme"),
        ("bits", "W4A4,conv9=8", "no quantized layer is called so"),
        ("bits", "none.json", "no scheme file none.json"),
        ("set", "wide_heads=true", "--bits W4A4,heads=16"),
        ("method", "magic", "no method 'magic'"),
        ("k", 5, "k = 5"),
        ("k", 0, "0"),
        ("lam", 0, "λ = 0"),
        ("lam", -1, "λ = -1"),
        ("lam", "nan", "λ = nan"),
        ("iterations", -1, "iterations"),
        ("batch", 0, "batch"),
        ("limit", 0, "limit is 0"),
        ("device", "tpu", "no device"),
    ],
)
def test_a_run_with_wrong_options_is_refused_before_anything_is_written(
    sfcore_: Command, frames: Path, weights: Path, tmp_path: Path, option: str, value: object, said: str
) -> None:
    assert said in sfcore_.error(*tune(frames, weights, tmp_path / "run", **{option: value}))
    assert not (tmp_path / "run").exists()


def test_a_truncated_image_among_good_ones_is_named(sfcore_: Command, frames: Path, weights: Path) -> None:
    good = (frames / "1.png").read_bytes()
    (frames / "1.png").write_bytes(good[: len(good) // 2])
    assert str(frames / "1.png") in sfcore_.error("detect", "lstr-r18s", frames, "--weights", weights)


def test_a_checkpoint_of_another_detector_lists_its_keys(sfcore_: Command, frames: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"conv1.weight": torch.zeros(16, 3, 7, 7), "fc.weight": torch.zeros(2, 2)}, path)
    said = sfcore_.error("detect", "lstr-r18s", frames, "--weights", path)
    assert "missing" in said and "1 unexpected: fc.weight" in said


@pytest.fixture
def averaged(tmp_path: Path) -> Path:
    """A checkpoint with the shipped weights as ``ema`` beside others as ``model``."""
    state = registry.create("lstr-tiny").state_dict()
    halves = {key: value / 2 if value.is_floating_point() else value for key, value in state.items()}
    torch.save({"model": halves, "ema": state}, tmp_path / "last.pth")
    return tmp_path / "last.pth"


def test_of_several_weights_in_a_checkpoint_one_is_chosen(sfcore_: Command, frames: Path, averaged: Path) -> None:
    said = sfcore_.error("detect", "lstr-tiny", frames, "--weights", averaged)
    assert "choose one of model, ema (--weights-key KEY)" in said
    found = sfcore_.json("detect", "lstr-tiny", frames, "--weights", averaged, "--weights-key", "ema")
    assert found == sfcore_.json("detect", "lstr-tiny", frames)


def test_a_run_keeps_which_weights_it_took(sfcore_: Command, averaged: Path, tmp_path: Path) -> None:
    scenes, run = sample_data() / "scenes", tmp_path / "run"
    words = ["tune", "lstr-tiny", "--weights", averaged, "--images", scenes, "--limit", 2, "--bits", "W8A8"]
    words += ["--method", "calibrate", "--no-bias-correction", "--out", run]
    assert "choose one of model, ema" in sfcore_.error(*words)
    assert not run.exists()
    sfcore_.json(*words, "--weights-key", "ema")
    full = load_model(RunFolder.open(run), "full").state_dict()
    assert all(torch.equal(value, full[key]) for key, value in registry.create("lstr-tiny").state_dict().items())


def test_unsound_weights_are_named_before_any_promise(sfcore_: Command, tmp_path: Path) -> None:
    state = registry.create("lstr-tiny").state_dict()
    state["conv1.weight"][0] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    said = sfcore_.error("check-detector", "lstr-tiny", "--weights", tmp_path / "nan.pth")
    assert "nan.pth has no sound weights (conv1.weight has 147 values that are not finite)" in said


class Attack:
    """Unpickling this would make a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_checkpoint_is_never_run(sfcore_: Command, frames: Path, tmp_path: Path, legacy: bool) -> None:
    target, path = tmp_path / "attacked", tmp_path / "model.pkl"
    if legacy:
        path.write_bytes(pickle.dumps({"conv1.weight": Attack(target)}, protocol=2))
    else:
        torch.save({"conv1.weight": Attack(target)}, path)
    assert "holds code, which is never run" in sfcore_.error("detect", "lstr-r18s", frames, "--weights", path)
    assert not target.exists()


def test_wrong_usage_is_exit_code_2(sfcore_: Command) -> None:
    for words in (["fly"], [], ["curves", "lstr-r18s"], ["runs"]):
        assert sfcore_(*words)[0] == 2


def test_ctrl_c_is_exit_code_130(sfcore_: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sfcore.cli.detectors.run", interrupted)
    assert sfcore_("detectors") == (130, "", "sfcore: interrupted\n")


def test_a_full_disk_is_one_line(
    sfcore_: Command, frames: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    out = frames.parent / "out"
    assert "No space left" in sfcore_.error("detect", "lstr-r18s", frames, "--weights", weights, "--out", out)
    assert list(out.iterdir()) == []


def test_runs_are_listed(sfcore_: Command, tmp_path: Path) -> None:
    assert sfcore_.json("runs", "list", "--root", tmp_path) == []


def test_a_reader_that_leaves_early_is_no_fault(frames: Path, weights: Path) -> None:
    words = [sys.executable, "-m", "sfcore", "detect", "lstr-r18s", str(frames), "--weights", str(weights), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_progress_waits_and_tells_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 20.0, 21.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    progress = Progress(stream)
    for done in (1, 2, 10, 11):
        progress("tuning", done, 40)
    assert stream.getvalue() == "tuning: 2 of 40, 95 s left\ntuning: 10 of 40, 60 s left\n"


def test_durations_and_tables_are_readable() -> None:
    assert [duration(s) for s in (7.4, 600, 12000)] == ["7 s", "10 min", "3 h 20 min"]
    assert table([{"a": 1.23456, "b": None}, {"a": 10, "b": "x"}]) == "a      b\n1.235  –\n10     x"
    assert table([{"a": 1}, {"b": 2, "a": 3}]) == "a  b\n1  –\n3  2"
    assert table([]) == ""
