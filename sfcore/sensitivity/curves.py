"""Noise-score curves (Selective Focus, section 4.3 and appendix C.1): the distortion a head's noise causes.

The head outputs of a set of images are cached once; for each head, noise level and rerun, noise is added to this
head alone, the prediction is decoded and scored against the full-precision one. Nothing but ``decode`` is run.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.errors import InputError
from sfcore.files import write_atomic
from sfcore.sensitivity.noise import NoiseKind, check_kind, root_mean_square, unit_noise
from sfcore.tasks.base import Prediction

Progress = Callable[[int, int], None]
BAND = (0.05, 0.95)
# Predictions, and bytes of head outputs, in one decode: what a CPU's cache holds, what keeps a GPU busy.
MOST_SETS = {"cpu": 320, "cuda": 8192}
MOST_BYTES = {"cpu": 3 * 2**20, "cuda": 2**30}


@dataclass(frozen=True)
class CurveSettings:
    """How curves are measured; the defaults are the paper's.

    Attributes:
        images: how many, drawn at random from those given (all when there are fewer).
        levels: noise levels, evenly spaced in their logarithm from ``low`` to ``high``.
        reruns: draws of noise per image and level. A rerun's noise is the same draw at every level, scaled.
        seed: of the choice of images and of the noise.
        kind: of the noise.

    Raises:
        InputError: a count that is too small, or a range that is none.
    """

    images: int = 100
    levels: int = 8
    reruns: int = 20
    seed: int = 0
    kind: NoiseKind = "gaussian"
    low: float = 1e-3
    high: float = 1.0

    def __post_init__(self) -> None:
        check_kind(self.kind)
        for name, least in (("images", 1), ("levels", 2), ("reruns", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} = {getattr(self, name)}: a noise-score curve needs at least {least}")
        if not 0 < self.low < self.high < float("inf"):
            raise InputError(f"noise from {self.low} to {self.high}: choose 0 < low < high, such as 0.001 and 1")

    @property
    def noise(self) -> np.ndarray:
        """(levels,) the noise levels."""
        return np.geomspace(self.low, self.high, self.levels)


@dataclass(frozen=True, eq=False)
class Curve:
    """The noise-score curve of one head; call it with a noise level to read a score.

    Attributes:
        head: its name.
        noise: (N,) noise levels, rising.
        score: (N,) the task's distortion score, mean over images and reruns.
        low, high: (N,) 5 % and 95 % quantile over images and reruns.
        parts: (N,) mean of each part of the score.
        images: (N, I) mean over reruns for each image.
    """

    head: str
    noise: np.ndarray
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    images: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    @cached_property
    def _line(self) -> PchipInterpolator:
        """Through (0, 0) and the measured points, made monotone by least squares (pool adjacent violators).

        PCHIP of monotone points is monotone; in linear noise it is exact for small noise, where lanes move in
        proportion.
        """
        rising = isotonic_regression(np.maximum(self.score, 0.0)).x
        return PchipInterpolator(np.r_[0.0, self.noise], np.r_[0.0, rising])

    def at(self, levels: np.ndarray) -> np.ndarray:
        """Scores at noise levels; 0 at none, and the last score beyond the strongest measured noise."""
        return self._line(np.clip(levels, 0.0, self.noise[-1]))

    def __call__(self, level: float) -> float:
        """The score at one noise level, never falling as the level rises."""
        return float(self.at(np.asarray(level)))

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a measured level, for tables."""
        columns = {"noise": self.noise, "score": self.score, "low": self.low, "high": self.high, **self.parts}
        return [{"head": self.head} | {k: float(v[i]) for k, v in columns.items()} for i in range(len(self.noise))]

    def to_json(self) -> dict[str, Any]:
        arrays = {"noise": self.noise, "score": self.score, "low": self.low, "high": self.high, "images": self.images}
        parts = {name: values.tolist() for name, values in self.parts.items()}
        return {name: values.tolist() for name, values in arrays.items()} | {"parts": parts}

    @classmethod
    def from_json(cls, head: str, content: Mapping[str, Any]) -> Curve:
        arrays = {name: np.asarray(content[name], float) for name in ("noise", "score", "low", "high", "images")}
        parts = {name: np.asarray(values, float) for name, values in content["parts"].items()}
        return cls(head, parts=parts, **arrays)


@dataclass(frozen=True, eq=False)
class Curves:
    """The noise-score curves of all heads of a detector, and what made them.

    Attributes:
        curves: by head.
        meta: ``settings``; ``score``, what the scores are called; ``images`` (indices of those used); ``rms`` of each
            head over them, which noise levels refer to; and what the caller adds, such as detector name and hash of
            the image set.
    """

    curves: dict[str, Curve]
    meta: dict[str, Any]

    @property
    def score(self) -> str:
        """What the scores are called; curves that do not say are of lanes."""
        return str(self.meta.get("score", "Lane Distortion Score"))

    def save(self, folder: Path) -> None:
        """Write curves.csv (a table for people) and curves.json (everything, read by :meth:`load`)."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [row for curve in self.curves.values() for row in curve.rows()]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(folder / "curves.csv", table.getvalue().encode())
        curves = {head: curve.to_json() for head, curve in self.curves.items()}
        write_atomic(folder / "curves.json", json.dumps({"meta": self.meta, "curves": curves}).encode())

    @classmethod
    def load(cls, folder: Path) -> Curves:
        """Read what :meth:`save` wrote; every number is equal.

        Raises:
            InputError: there are no curves in the folder, or they are damaged.
        """
        path = folder / "curves.json"
        if not path.is_file():
            raise InputError(f"there are no curves in {folder} (curves.json): measure them with sfcore curves")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            curves = {head: Curve.from_json(head, values) for head, values in content["curves"].items()}
            return cls(curves, content["meta"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged ({error}): measure the curves again with sfcore curves") from error


def noise_score_curves(
    detector: Detector,
    outputs: Outputs,
    settings: CurveSettings = CurveSettings(),
    progress: Progress | None = None,
    *,
    errors: Outputs | None = None,
    about: Mapping[str, Any] | None = None,
) -> Curves:
    """Measure the noise-score curve of every head.

    Args:
        outputs: cached full-precision outputs of all images, each (images, ...), on any device.
        progress: called with (predictions done, of how many).
        errors: each head's recorded quantization error, (N, ...), for the noise kind "replay".
        about: goes into ``meta``: detector name, hash of the image set.

    Raises:
        InputError: no images, or replay without errors.

    Example:
        >>> from sfcore.datasets.images import find_images
        >>> from sfcore.detectors.registry import create
        >>> from sfcore.resources import sample_data
        >>> detector = create("ganet-tiny")
        >>> frames = [detector.preprocessing.read(file) for file in find_images([sample_data() / "scenes"], limit=2)]
        >>> with torch.no_grad():
        ...     outputs = detector(detector.preprocess(frames))
        >>> found = noise_score_curves(detector, outputs, CurveSettings(levels=3, reruns=4))
        >>> found.curves["offset"](0.5) > found.curves["offset"](0.05)
        True
    """
    chosen = choose_images(outputs, settings)
    full = {name: value[chosen.to(value.device)] for name, value in outputs.items()}
    rms = strengths(detector, full)
    everything = slice(0, len(chosen))
    scores = head_scores(detector, full, rms, settings, everything, progress, errors)
    return curves_of(detector, settings, chosen, rms, scores, about)


def strengths(detector: Detector, full: Outputs) -> dict[str, float]:
    """The RMS of each head over all images, which noise levels refer to."""
    return {head.name: root_mean_square(full[head.name]) for head in detector.heads}


def head_scores(
    detector: Detector,
    full: Outputs,
    rms: Mapping[str, float],
    settings: CurveSettings,
    part: slice,
    progress: Progress | None = None,
    errors: Outputs | None = None,
) -> dict[str, Tensor]:
    """Scores of some of the images under noise on each head; those of all images are these, put together.

    Args:
        full: outputs of all images.
        rms: of :func:`strengths`.
        part: the images that are scored.

    Returns:
        For each head, (parts, levels, images of ``part``, reruns).
    """
    per_head = (part.stop - part.start) * settings.levels * settings.reruns
    found: dict[str, Tensor] = {}
    for head in rms:
        before = per_head * len(found)

        def report(done: int, before: int = before) -> None:
            if progress:
                progress(before + done, per_head * len(rms))

        if not detector.head(head).decoded:
            found[head] = _unmoved_scores(detector, full, settings, part)
            report(per_head)
            continue
        found[head] = _head_scores(detector, full, head, rms[head], settings, part, (errors or {}).get(head), report)
    return found


def curves_of(
    detector: Detector,
    settings: CurveSettings,
    chosen: Tensor,
    rms: Mapping[str, float],
    scores: Mapping[str, Tensor],
    about: Mapping[str, Any] | None = None,
) -> Curves:
    """The curves that scores of all chosen images make: see :func:`head_scores`."""
    parts = [part.name for part in detector.task.parts]
    curves = {head: _summarise(head, settings.noise, scores[head], parts) for head in rms}
    meta = {
        "settings": asdict(settings),
        "images": chosen.tolist(),
        "rms": dict(rms),
        "score": detector.task.words.score,
    }
    return Curves(curves, meta | dict(about or {}))


def choose_images(outputs: Outputs, settings: CurveSettings) -> Tensor:
    """Which images curves are measured on, rising. Raises InputError: there are none."""
    given = len(next(iter(outputs.values())))
    if not given:
        raise InputError("no images: noise-score curves need at least one, about 100 are usual")
    order = torch.randperm(given, generator=torch.Generator().manual_seed(settings.seed))
    return order[: settings.images].sort().values


@torch.no_grad()
def _head_scores(
    detector: Detector,
    full: Outputs,
    head: str,
    rms: float,
    settings: CurveSettings,
    part: slice,
    error: Tensor | None,
    report: Callable[[int], None],
) -> Tensor:
    """(parts, levels, images, reruns) of the score under noise on ``head``, of the images of ``part``.

    Noise is drawn image by image from one generator, so the result does not depend on how sets are grouped; that of
    images before the part is drawn, too, and thrown away.
    """
    clean, reference = full[head], detector.decode(full).compact()
    count, reruns = part.stop - part.start, settings.reruns
    generator = torch.Generator(clean.device).manual_seed(settings.seed)
    scales = torch.from_numpy(settings.noise * rms).to(clean)
    scores = torch.empty(len(detector.task.parts), len(scales), count, reruns, device=clean.device)
    group, levels = _chunk(full, settings)
    done = 0
    for _ in range(part.start):
        unit_noise(settings.kind, reruns, clean.shape[1:], generator, error)
    for start in range(0, count, group):
        images = slice(part.start + start, part.start + min(start + group, count))
        drawn = [unit_noise(settings.kind, reruns, clean.shape[1:], generator, error) for _ in clean[images]]
        unit = torch.stack(drawn).to(clean)
        for first in range(0, len(scales), levels):
            some = scales[first : first + levels]
            parts = _score(detector, full, reference, head, images, unit, some)
            scores[:, first : first + levels, start : start + group] = parts
            done += parts[0].numel()
            report(done)
    return scores


@torch.no_grad()
def _unmoved_scores(detector: Detector, full: Outputs, settings: CurveSettings, part: slice) -> Tensor:
    """What :func:`_head_scores` gives for a head that decode does not read: each prediction against itself."""
    reference = detector.decode({name: value[part] for name, value in full.items()}).compact()
    parts = torch.stack([*detector.task.distortion(reference, reference).parts().values()])
    return parts[:, None, :, None].repeat(1, settings.levels, 1, settings.reruns)


def _chunk(full: Outputs, settings: CurveSettings) -> tuple[int, int]:
    """Images and levels that go through one decode (the reruns of a level are never split)."""
    set_bytes = sum(value[0].numel() * value.element_size() for value in full.values())
    device = "cpu" if next(iter(full.values())).device.type == "cpu" else "cuda"
    sets = max(1, min(MOST_SETS[device], MOST_BYTES[device] // max(set_bytes, 1)))
    images = max(1, sets // (settings.levels * settings.reruns))
    return images, max(1, min(settings.levels, sets // settings.reruns))


def _score(
    detector: Detector, full: Outputs, reference: Prediction, head: str, images: slice, unit: Tensor, scales: Tensor
) -> Tensor:
    """(parts, levels, images, reruns) of the score for unit noise (images, reruns, ...) at each scale."""
    count, reruns = unit.shape[:2]
    each = len(scales) * reruns

    def repeated(values: Tensor) -> Tensor:
        # For a single image this is a view: the other heads are not copied.
        return values[images].unsqueeze(1).expand(count, each, *values.shape[1:]).flatten(0, 1)

    noise = unit.unsqueeze(1) * scales.view(-1, 1, *[1] * (unit.ndim - 2))
    noisy = (noise + full[head][images, None, None]).flatten(0, 2)
    outputs = {name: noisy if name == head else repeated(value) for name, value in full.items()}
    # One reference stands for all of the batch; several have to be repeated.
    chosen = torch.arange(images.start, images.stop, device=noisy.device)
    against = reference[images] if count == 1 else reference[chosen.repeat_interleave(each)]
    parts = detector.task.distortion(against, detector.decode(outputs).compact()).parts()
    return torch.stack([*parts.values()]).view(len(parts), count, len(scales), reruns).transpose(1, 2)


def _summarise(head: str, noise: np.ndarray, scores: Tensor, names: Sequence[str]) -> Curve:
    """The curve of one head from (parts, levels, images, reruns) scores."""
    parts = scores.double().cpu().numpy()
    total = parts.sum(0)
    low, high = np.quantile(total.reshape(len(noise), -1), BAND, axis=1)
    means = dict(zip(names, parts.mean((2, 3)), strict=True))
    return Curve(head, noise, total.mean((1, 2)), low, high, means, total.mean(2))
