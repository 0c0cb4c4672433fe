"""``sfcore check-detector``."""

from __future__ import annotations

import argparse

from sfcore.cli.console import Answer
from sfcore.datasets.scenes import sample_scenes
from sfcore.detectors import contract, registry
from sfcore.devices import resolve_device
from sfcore.quant import contract as quantization

IMAGES = 2


def run(arguments: argparse.Namespace) -> Answer:
    """Check every promise on two of the sample scenes; exit code 1 where one is broken."""
    entry, device = registry.entry(arguments.detector), resolve_device(arguments.device)
    trained = bool(arguments.weights or entry.weights)
    detector = (
        registry.create(entry.name, arguments.weights, device, arguments.weights_key)
        if trained
        else entry.build().to(device).eval()
    )
    on = contract.subject(detector, [scene.image for scene in sample_scenes()[:IMAGES]])
    found = {text: contract.broken(check, on) for text, check in (contract.CHECKS | quantization.CHECKS).items()}
    left = quantization.in_full_precision(detector)
    lanes = int(detector.decode(on.outputs).present.sum()) if not any(found.values()) else None
    content = {
        "detector": entry.name,
        "keeps_all": not any(found.values()),
        "trained": trained,
        "lanes_found": lanes,
        "full_precision": left,
        "promises": [{"promise": text, "kept": not problem, "problem": problem} for text, problem in found.items()],
    }
    lines = [f"broken  {text}\n        {problem}" if problem else f"kept    {text}" for text, problem in found.items()]
    lines += [f"stays   {name} in full precision\n        {why}" for name, why in left.items()]
    ending = f"{sum(map(bool, found.values()))} of {len(found)} promises are broken"
    if not any(found.values()):
        weights = "with its weights" if trained else "untrained (no weights given)"
        ending = f"{entry.name} keeps all {len(found)} promises; {weights} it finds {lanes} lanes in {IMAGES} scenes"
    return Answer(content, "\n".join([*lines, ending]), int(any(found.values())))
