"""A run as its worker leaves it, made in seconds: what pages and reports are shown in tests."""

from __future__ import annotations

from pathlib import Path

from sfcore.datasets.images import find_images, read_images
from sfcore.detectors.registry import create
from sfcore.quant import Scheme, quantize
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec


def finished_run(path: Path, name: str) -> RunFolder:
    """A run of a detector on two sample scenes; bias correction stands in for tuning."""
    scenes = sample_data() / "scenes"
    spec = RunSpec(name, (str(scenes),), "W4A4", "selective-focus", options={"k": 2, "lam": 5.0}, limit=2)
    run, detector = RunFolder.create(path, spec), create(name)
    batch = detector.preprocess(read_images(find_images([scenes], 2)))
    for file, corrected in (("calibrated", False), ("model", True)):
        model = quantize(detector, Scheme.parse(spec.scheme), [batch], bias_correction=corrected)
        run.save_tensors(file, model.state_dict())
    for i in range(1, 31):
        noise = {head.name: 1 / i for head in detector.heads}
        heads = [detector.heads[0].name]
        run.append({"type": "step", "iteration": i, "iterations": 30, "loss": 1 / i, "noise": noise, "selected": heads})
    result = {model: {"f1": 0.5, "distortion": 3.0} for model in ("calibrated", "tuned")}
    run.update(status="done", started=0.0, ended=90.0, worked=90.0, result=result)
    return run
