"""``sfcore layers``."""

from __future__ import annotations

import argparse
import csv
import io
from dataclasses import asdict
from pathlib import Path

import torch

from sfcore.cli.console import Answer, Progress, table
from sfcore.datasets.images import find_images, image_batches
from sfcore.detectors import registry
from sfcore.devices import resolve_device
from sfcore.files import explained, write_atomic
from sfcore.names import printable
from sfcore.present.pictures import save_layers_picture
from sfcore.quant import Scheme, quantize
from sfcore.quant.layer_sensitivity import LayerSensitivity, layer_sensitivities

SHOWN = 12


def run(arguments: argparse.Namespace) -> Answer:
    """Quantize each layer alone and score what it does to the lanes."""
    scheme = Scheme.parse(arguments.bits)
    files = find_images(arguments.images, arguments.limit)
    device = resolve_device(arguments.device)
    detector = registry.create(arguments.detector, arguments.weights, device, arguments.weights_key)
    progress = Progress()
    pixels = torch.cat([detector.preprocessing.resize(images) for _, images in image_batches(files)])
    batches = [detector.preprocessing.normalize(part.to(detector.device)) for part in pixels.split(8)]
    # Without bias correction, which would repair in later layers what earlier ones do.
    model = quantize(detector, scheme, batches, bias_correction=False)
    found = layer_sensitivities(detector, model, pixels, lambda done, total: progress("layers", done, total))
    progress.close()
    rows = [asdict(one) for one in found]
    where = ""
    if arguments.out:
        _write(Path(arguments.out), found, f"{arguments.detector} {scheme}: what each layer does alone")
        where = f"\nlayers.csv and layers.png are in {printable(arguments.out)}"
    return Answer({"images": len(files), "layers": rows}, table(rows[:SHOWN]) + where)


def _write(out: Path, found: list[LayerSensitivity], title: str) -> None:
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    rows = [asdict(one) for one in found]
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(out / "layers.csv", text.getvalue().encode())
    save_layers_picture(out / "layers.png", found, title)
