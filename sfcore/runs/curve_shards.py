"""Noise–score curves in shards of images; ``python -m sfcore.runs.curve_shards SPOOL`` is a worker of them.

Whoever asks computes the head outputs, once; workers add the noise and decode, which is what takes the time.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.devices import resolve_device
from sfcore.errors import InputError
from sfcore.files import clear_away, explained, write_atomic
from sfcore.runs.detection_shards import model_of
from sfcore.runs.errands import serve
from sfcore.runs.shards import Crew, Progress, each_done, folder_of, shards_of
from sfcore.runs.spool import Errand
from sfcore.sensitivity.curves import Curves, CurveSettings, choose_images, curves_of, head_scores, strengths

SIZE = 4  # images of a shard
OUTPUTS = "outputs.npz"  # what all shards read: the head outputs of the chosen images


def curves_in_shards(
    crew: Crew,
    out: Path,
    request: Errand,
    detector: Detector,
    outputs: Outputs,
    settings: CurveSettings,
    progress: Progress | None = None,
    about: Mapping[str, Any] | None = None,
) -> Curves:
    """:func:`sfcore.sensitivity.curves.noise_score_curves`, spread over workers.

    Args:
        out: on storage that all workers share.
        request: ``model`` as of :func:`model_of`, and ``device``.
    """
    chosen = choose_images(outputs, settings)
    full = {name: value[chosen.to(value.device)] for name, value in outputs.items()}
    rms = strengths(detector, full)
    request = {**request, "settings": asdict(settings), "rms": rms}
    folder = folder_of(out, {**request, **dict(about or {})})
    _write(folder / OUTPUTS, full)
    shards = shards_of(folder, len(chosen), SIZE, ".npz")
    request["outputs"] = str(folder / OUTPUTS)
    pool = crew.hired(__name__, "curves", out)
    found = [_read(shard.file, "cpu") for shard in each_done(pool, request, shards, progress)]
    scores = {head: torch.cat([part[head] for part in found], 2) for head in rms}
    clear_away(folder)
    return curves_of(detector, settings, chosen, rms, scores, about)


def carry_out(errand: Errand) -> int:
    """Score the images of a shard; how many."""
    keys = ("model", "device", "outputs")
    detector, full = _opened(json.dumps({key: errand[key] for key in keys}))
    part, settings = slice(errand["start"], errand["stop"]), CurveSettings(**errand["settings"])
    _write(Path(errand["file"]), head_scores(detector, full, errand["rms"], settings, part))
    return int(part.stop - part.start)


@lru_cache(1)
def _opened(text: str) -> tuple[Detector, Outputs]:
    request = json.loads(text)
    device = str(resolve_device(request["device"]))
    return model_of(request["model"], device), _read(Path(request["outputs"]), device)


def _write(path: Path, values: Mapping[str, Tensor]) -> None:
    content = io.BytesIO()
    np.savez(content, **{name: value.cpu().numpy() for name, value in values.items()})  # type: ignore[arg-type]
    write_atomic(path, content.getvalue())


def _read(path: Path, device: str) -> dict[str, Tensor]:
    """What was written. Raises InputError: it is damaged."""
    try:
        with explained(path, "read"), np.load(path, allow_pickle=False) as found:
            return {name: torch.from_numpy(found[name]).to(device) for name in found.files}
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): delete it, then run again") from error


if __name__ == "__main__":
    serve(carry_out)
