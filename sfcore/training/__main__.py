"""``python -m sfcore.training NAME --out FILE``: train a detector on rendered scenes and save its weights."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from sfcore.datasets.scenes import VERSION, render
from sfcore.detectors.base import Detector
from sfcore.detectors.checkpoints import clean_keys, load_weights, read_checkpoint
from sfcore.detectors.registry import entry
from sfcore.errors import InputError
from sfcore.files import write_atomic
from sfcore.inputs.images import Preprocessing
from sfcore.training.augment import Augmentation
from sfcore.training.data import UNSEEN, render_scenes
from sfcore.training.loop import Recipe, Step, train
from sfcore.training.objective import objective
from sfcore.training.scoring import Score, score

RESNET = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")  # as torchvision names its parts


def say(text: str, end: str = "\n") -> None:
    """Print progress on stderr."""
    print(text, file=sys.stderr, end=end, flush=True)


def show_step(step: Step) -> None:
    """Tell how far training is."""
    parts = "  ".join(f"{name} {value:.3f}" for name, value in step.losses.items())
    say(f"step {step.step}  {step.progress:.0%}  {step.seconds_left / 60:.1f} min left  {parts}")


def show_rendering(done: int, count: int) -> None:
    """Tell how far rendering is, every now and then."""
    if done % 500 == 0 or done == count:
        say(f"rendered {done} of {count} scenes")


def commit() -> str:
    """Of the working copy that trains, or "unknown" outside of one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def in_16_bits(detector: Detector) -> None:
    """Round the weights to 16 bits, so that writing them in as many loses nothing more."""
    with torch.no_grad():
        for value in detector.state_dict().values():
            value.copy_(_halved(value))


def _halved(value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() else value


def save(detector: Detector, name: str, found: Score, given: argparse.Namespace) -> None:
    """Write the weights with what one must know to use them, so that a reader sees the old file or the new one."""
    preprocessing = detector.preprocessing
    assert isinstance(preprocessing, Preprocessing)  # what is trained here reads images
    metadata = {
        "detector": name,
        "input_size": json.dumps(preprocessing.size),
        "mean": json.dumps(preprocessing.mean),
        "std": json.dumps(preprocessing.std),
        "order": preprocessing.order,
        "seed": str(given.seed),
        "commit": commit(),
        "score": json.dumps(found.rounded()),
        "trained_on": f"rendered scenes, version {VERSION}, by this project",
        "licence": "same as the project",
    }
    kept = _halved if given.half else Tensor.detach
    state = {k: kept(v).cpu().contiguous() for k, v in detector.state_dict().items()}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(given.out, safetensors_bytes(state, metadata))


def take_backbone(detector: Detector, path: Path) -> None:
    """Copy the ResNet out of the weights of any detector whose stages have the same shapes.

    Raises:
        InputError: the file cannot be read, or its ResNet has another shape.
    """

    def bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
        names = ((key.removeprefix("backbone."), value) for key, value in state.items())
        return {name: value for name, value in names if name.startswith(RESNET)}

    own, given = bare(detector.state_dict()), bare(clean_keys(read_checkpoint(path)))
    misfits = [name for name in own if name not in given or own[name].shape != given[name].shape]
    if misfits or not own:
        raise InputError(f"the ResNet in {path} has another shape ({', '.join(misfits[:3])}): choose other weights")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(given[name])


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m sfcore.training", description=__doc__)
    parser.add_argument("name", help="the detector to train, such as ganet-tiny")
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    parser.add_argument("--scenes", type=int, default=6000, help="scenes to render for training")
    parser.add_argument("--unseen", type=int, default=400, help="other scenes to score on")
    parser.add_argument("--minutes", type=float, help="time for the steps; 25 when neither this nor --steps is given")
    parser.add_argument("--steps", type=int, help="optimiser steps; gives the same weights on the same machine")
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--rate", type=float, default=Recipe.rate, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--half", action="store_true", help="write the weights in 16 bits, and score them so")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--start", type=Path, help="weights to start from instead of random ones")
    start.add_argument("--backbone", type=Path, help="weights of another detector, whose ResNet this one starts from")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(arguments)


def run(given: argparse.Namespace) -> Score:
    """Train as ``given`` says.

    Raises:
        InputError: no such detector, or too many scenes.
    """
    if not 0 < given.scenes <= UNSEEN - given.seed:
        raise InputError(f"--scenes is {given.scenes}: give 1 to {UNSEEN - given.seed}, other seeds are for scoring")
    minutes = 25.0 if given.minutes is None and given.steps is None else given.minutes
    recipe = Recipe(given.steps, minutes, given.batch, given.rate, seed=given.seed)
    torch.manual_seed(given.seed)
    detector = entry(given.name).build()
    if given.start:
        load_weights(detector, given.start)
    if given.backbone:
        take_backbone(detector, given.backbone)
    detector = detector.to(given.device)
    task = objective(given.name, detector)
    scenes = render_scenes(detector, given.scenes, given.seed, show_rendering)
    steps = train(detector, task, scenes, recipe, Augmentation(), show_step)
    if given.half:
        in_16_bits(detector)
    say(f"{steps} steps done; scoring on {given.unseen} unseen scenes")
    found = score(detector, [render(UNSEEN + i, size=detector.frame) for i in range(given.unseen)])
    save(detector, given.name, found, given)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Train a detector; returns the exit code."""
    try:
        found = run(parse(arguments))
    except InputError as error:
        say(str(error))
        return 2
    print(json.dumps(asdict(found), indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
