"""``sfcore layers``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import torch

from sfcore.cli.commands.layers import Layers
from sfcore.cli.console import Answer, Progress, table
from sfcore.cli.crew import about_model, crew_of
from sfcore.datasets.images import find_images
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.devices import resolve_device
from sfcore.distil.images import with_distilled
from sfcore.errors import InputError
from sfcore.files import explained, write_atomic
from sfcore.names import printable
from sfcore.present.pictures import save_layers_picture
from sfcore.quant import Scheme
from sfcore.quant.cost import Profile
from sfcore.quant.layer_sensitivity import LayerSensitivity, layer_sensitivities
from sfcore.runs.layer_shards import layers_in_shards, quantized

SHOWN = 12


def run(arguments: Layers) -> Answer:
    """Quantize each layer alone and score what it does to the prediction."""
    scheme, crew = Scheme.parse(arguments.bits), crew_of(arguments)
    out = Path(arguments.out) if arguments.out else None
    if not crew.alone and out is None:
        raise InputError("workers hand over what they measure in a folder: name one with --out")
    files = find_images(arguments.images, arguments.limit, registry.entry(arguments.detector).input.formats)
    device = resolve_device(arguments.device)
    detector = registry.create(arguments.detector, arguments.weights, device, arguments.weights_key)
    spec = detector.preprocessing
    with Progress() as progress:
        files = with_distilled(detector, files, progress)
    frames = torch.cat([spec.stack([spec.read(file)]) for file in files])
    model = quantized(detector, scheme, frames)
    with Progress() as progress:
        told = progress.phase_of("layers")
        if crew.alone or out is None:
            found = layer_sensitivities(detector, model, frames, told)
        else:
            about = about_model(arguments.detector, arguments.weights, arguments.weights_key)
            request = {"model": about, "scheme": str(scheme), "device": arguments.device}
            found = layers_in_shards(crew, out, request, model, frames, told)
    rows, cost = [one.row() for one in found], Profile.of(detector).cost(scheme)
    where = f"\n{scheme.name}: {cost}"
    if out:
        _write(out, detector, found, f"{arguments.detector} {scheme.name}: what each layer does alone")
        where += f"\nlayers.csv and layers.png are in {printable(out)}"
    content = {"images": len(files), "scheme": cost.to_dict(scheme), "layers": rows}
    return Answer(content, table(rows[:SHOWN]) + where)


def _write(out: Path, detector: Detector, found: list[LayerSensitivity], title: str) -> None:
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    rows = [one.row() for one in found]
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(out / "layers.csv", text.getvalue().encode())
    save_layers_picture(out / "layers.png", detector.task, found, title)
