"""``sfcore check-detector``."""

from __future__ import annotations

from sfcore.cli.commands.check_detector import CheckDetector
from sfcore.cli.console import Answer
from sfcore.datasets.images import find_images
from sfcore.detectors import contract, registry
from sfcore.devices import resolve_device
from sfcore.quant import contract as quantization
from sfcore.resources import sample_data

IMAGES = 2


def run(arguments: CheckDetector) -> Answer:
    """Check every promise on two of the samples of what it reads; exit code 1 where one is broken."""
    entry, device = registry.entry(arguments.detector), resolve_device(arguments.device)
    trained = bool(arguments.weights or entry.shipped)
    detector = (
        registry.create(entry.name, arguments.weights, device, arguments.weights_key)
        if trained
        else entry.build().to(device).eval()
    )
    spec = detector.preprocessing
    files = find_images([sample_data() / spec.samples], IMAGES, spec.formats) if spec.samples else ()
    on = contract.subject(detector, [spec.read(file) for file in files] or None)
    checks = contract.checks_of(detector) | quantization.CHECKS
    found = {text: contract.broken(check, on) for text, check in checks.items()}
    left = quantization.in_full_precision(detector)
    count = int(detector.decode(on.outputs).counts().sum()) if not any(found.values()) else None
    content = {
        "detector": entry.name,
        "keeps_all": not any(found.values()),
        "trained": trained,
        f"{detector.task.words.plural}_found": count,
        "full_precision": left,
        "promises": [{"promise": text, "kept": not problem, "problem": problem} for text, problem in found.items()],
    }
    lines = [f"broken  {text}\n        {problem}" if problem else f"kept    {text}" for text, problem in found.items()]
    lines += [f"stays   {name} in full precision\n        {why}" for name, why in left.items()]
    ending = f"{sum(map(bool, found.values()))} of {len(found)} promises are broken"
    if not any(found.values()):
        shown = f"{IMAGES} {spec.samples or 'random inputs'}"
        things = detector.task.words.plural
        weights = "with its weights" if trained else "untrained (no weights given)"
        ending = f"{entry.name} keeps all {len(found)} promises; {weights} it finds {count} {things} in {shown}"
    return Answer(content, "\n".join([*lines, ending]), int(any(found.values())))
