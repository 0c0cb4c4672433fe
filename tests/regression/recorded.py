"""A fixed list of commands and, for each, what of its result must stay bit for bit."""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from sfcore.cli import main

HASHES = Path(__file__).with_name("hashes.json")
SCENES = Path(__file__).parents[2] / "sample_data" / "scenes"
TINY = tuple(f"{name}-tiny" for name in ("ganet", "condlanenet", "laneatt", "scnn", "resa", "lstr", "bezierlanenet"))
METHODS = (
    "calibrate", "netwise", "selective-focus", "focus-only", "selection-only", "lane-focus", "best", "adaround",
    "brecq", "qdrop", "lsq-plus",
)  # fmt: skip
METRICS = ("culane", "tusimple", "curvelanes", "llamas")
# Methods that gave the heads' own branches 16 bits when the hashes were recorded: bits are the scheme's by now.
WIDE = ("calibrate", "lane-focus", "best")
FEW = ("iterations=2", "batch=2", "check_every=1", "reselect_every=1", "rendered=1")


def place() -> str:
    """What decides the last bits: the version of torch, and the instructions that it uses on this processor."""
    return f"torch {torch.__version__.partition('+')[0]}, {torch.backends.cpu.get_cpu_capability()}, {_processor()}"


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums are added up in one order, however many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def answer(*words: object) -> dict[str, Any]:
    """What a command prints with ``--json``.

    Raises:
        AssertionError: it fails.
    """
    out, told = io.StringIO(), io.StringIO()
    with one_thread(), redirect_stdout(out), redirect_stderr(told):
        code = main([*map(str, words), "--json"])
    assert code == 0, told.getvalue()
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def digest(value: object) -> str:
    """Of anything that JSON can hold; equal floats are equal, to the last bit."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def tensors(file: Path) -> str:
    """Of the numbers that a quantized model consists of."""
    found = hashlib.sha256()
    for name, value in sorted(load_file(file).items()):
        if value.is_floating_point():
            found.update(name.encode() + str(tuple(value.shape)).encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def tuned(detector: str, method: str, out: Path) -> dict[str, str]:
    """A run of a few steps on six of the sample scenes."""
    bits = "W4A4,heads=16" if method in WIDE else "W4A4"
    words = ("tune", detector, "--images", SCENES, "--limit", 6, "--bits", bits, "--method", method)
    options = FEW if method != "calibrate" else ()
    content = answer(*words, *(("--set", *options) if options else ()), "--device", "cpu", "--out", out)
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    kept = ("loss", "terms", "noise", "selected", "held_back", "best", "calibrated")
    steps = [{key: event[key] for key in kept if key in event} for event in events if event["type"] == "step"]
    figures = ("f1", "distortion", "shift_px", "tp", "fp", "fn")
    result = {name: {key: found[key] for key in figures} for name, found in content["result"].items()}
    return {
        "calibrated": tensors(out / "calibrated.safetensors"),
        "model": tensors(out / "model.safetensors"),
        "steps": digest(steps),
        "result": digest(result),
    }


def curves(detector: str, out: Path) -> dict[str, str]:
    """Noise-score curves on three of the sample scenes."""
    few = ("--limit", 3, "--levels", 3, "--reruns", 4)
    content = answer("curves", detector, "--images", SCENES, *few, "--device", "cpu", "--out", out)
    return {"heads": digest(content["heads"])}


def layers(detector: str, out: Path) -> dict[str, str]:
    """What each layer does alone on two of the sample scenes."""
    words = ("layers", detector, "--images", SCENES, "--limit", 2, "--bits", "W4A4", "--device", "cpu")
    keys = ("layer", "part", "bits", "distortion", "bend", "spike", "misalignment", "shift_px", "f1")
    return {"layers": digest([[row[key] for key in keys] for row in answer(*words)["layers"]])}


def metric(name: str, out: Path) -> dict[str, str]:
    """A benchmark's official metric of a detector on rendered scenes in that benchmark's layout."""
    layout = "tusimple" if name == "tusimple" else "culane"
    dataset = out / layout
    if not dataset.is_dir():
        answer("scenes", "--out", dataset, "--count", 6, "--seed", 9_000, "--layout", layout)
    words = ("evaluate", "detector", "ganet-tiny", "--dataset", dataset, "--metric", name, "--device", "cpu")
    content = answer(*words, "--out", out / name)
    full = content["models"]["full"]
    return {"scores": digest({key: full[key] for key in ("total", "scenarios")})}


def differing(found: Mapping[str, str], expected: Mapping[str, str]) -> Sequence[str]:
    """The parts whose hashes are not those on record."""
    return [part for part in expected if found[part] != expected[part]]
