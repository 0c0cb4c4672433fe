"""Noise on one head's output: Gaussian, uniform, or the replay of recorded quantization error.

A noise level is the root-mean-square (RMS) error of a head's output relative to the head's own RMS, so that
heads with different units compare, and so that a quantized model's error can be looked up on a curve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from sfcore.detectors.base import Outputs
from sfcore.errors import InputError

NoiseKind = Literal["gaussian", "uniform", "replay"]
NOISE_KINDS: tuple[NoiseKind, ...] = get_args(NoiseKind)


@dataclass(frozen=True)
class Noise:
    """What is added to a head's output.

    Attributes:
        kind: "gaussian"; "uniform" (bounded by √3 · level · RMS); or "replay" of recorded quantization error.
        level: RMS of the noise relative to the RMS of the head's output.

    Raises:
        InputError: an unknown kind, or a level that is negative or not finite.
    """

    kind: NoiseKind = "gaussian"
    level: float = 0.1

    def __post_init__(self) -> None:
        check_kind(self.kind)
        if not (math.isfinite(self.level) and self.level >= 0):
            raise InputError(f"noise level {self.level}: it must be a number of at least 0; 0.1 is a tenth of the RMS")


def check_kind(kind: str) -> None:
    """Raise InputError unless ``kind`` is a noise kind."""
    if kind not in NOISE_KINDS:
        raise InputError(f"there is no noise kind {kind!r}: choose one of {', '.join(NOISE_KINDS)}")


def _mean_square_root(values: Tensor) -> Tensor:
    """() double, the RMS over all elements; 0 of none."""
    return (values.detach().float().square().sum() / max(values.numel(), 1)).sqrt().double()


def root_mean_square(values: Tensor) -> float:
    """RMS over all elements; 0 of none."""
    return float(_mean_square_root(values))


def noise_level(noisy: Tensor, reference: Tensor) -> Tensor:
    """() double, on the device of both: the noise level of ``noisy``, its RMS error relative to the RMS of
    ``reference``; 0 of no error, inf of an error where that is 0."""
    error, scale = _mean_square_root(noisy - reference), _mean_square_root(reference)
    return torch.where(error == 0, error, error / scale)


def relative_noise(noisy: Tensor, reference: Tensor) -> float:
    """:func:`noise_level` as a number."""
    return float(noise_level(noisy, reference))


def unit_noise(
    kind: NoiseKind, count: int, shape: torch.Size, generator: torch.Generator, error: Tensor | None = None
) -> Tensor:
    """``count`` independent draws of noise whose expected RMS is 1, on the generator's device.

    Replay gives each draw the recorded error of one image, drawn at random, with a random sign: the pattern of
    the error over channels and places stays, while reruns differ and a one-sided error is tried both ways.

    Args:
        shape: of one image's head output.
        error: (N, *shape) recorded quantization error, for replay.

    Returns:
        (count, *shape) float32.

    Raises:
        InputError: replay without an error that fits and is not all zero.
    """
    check_kind(kind)
    size, device = (count, *shape), generator.device
    if kind == "gaussian":
        return torch.randn(size, generator=generator, device=device)
    if kind == "uniform":
        return torch.rand(size, generator=generator, device=device).mul_(2).sub_(1).mul_(math.sqrt(3))
    if error is None or error.shape[1:] != torch.Size(shape) or root_mean_square(error) == 0:
        given = "none" if error is None else f"{tuple(error.shape)}, RMS {root_mean_square(error):.3g}"
        raise InputError(
            f"recorded error {given}: replay needs (images, {', '.join(map(str, shape))}) of quantized minus "
            "full-precision output, not all zero. Record it from a quantized model, or choose gaussian."
        )
    donors = torch.randint(len(error), (count,), generator=generator, device=device)
    signs = torch.randint(2, (count,), generator=generator, device=device).mul(2).sub(1)
    drawn = error.to(device).float()[donors] / root_mean_square(error)
    return drawn * signs.view(-1, *[1] * len(shape))


def perturb(
    outputs: Outputs,
    head: str,
    noise: Noise,
    generator: torch.Generator,
    *,
    mask: Tensor | None = None,
    error: Tensor | None = None,
    rms: float | None = None,
) -> Outputs:
    """The outputs with noise on one head; the others are shared, not copied, and nothing given is changed.

    Args:
        mask: bool, broadcastable to the head's output: only these elements are perturbed, each as strongly as
            if all were.
        error: the recorded quantization error of this head, (N, ...), for replay.
        rms: the head's RMS that the level refers to, such as that of a whole image set; of ``outputs`` when None.

    Raises:
        InputError: no such head, or replay without a fitting error.

    Example:
        >>> outputs = {"offset": torch.full((1, 2, 4, 4), 3.0), "kpts": torch.zeros(1, 1, 4, 4)}
        >>> noisy = perturb(outputs, "offset", Noise("uniform", 0.1), torch.Generator().manual_seed(0))
        >>> noisy["kpts"] is outputs["kpts"], 0.05 < relative_noise(noisy["offset"], outputs["offset"]) < 0.15
        (True, True)
    """
    if head not in outputs:
        raise InputError(f"there is no head {head!r}: choose one of {', '.join(outputs)}")
    clean = outputs[head]
    drawn = unit_noise(noise.kind, len(clean), clean.shape[1:], generator, error).to(clean)
    drawn *= noise.level * (root_mean_square(clean) if rms is None else rms)
    if mask is not None:
        drawn = torch.where(mask.to(clean.device), drawn, torch.zeros_like(drawn))
    return {**outputs, head: clean + drawn}
