"""Layers measured in shards of quantizers; ``python -m sfcore.runs.layer_shards SPOOL`` is a worker of them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.files import clear_away, parse_json, read_text, write_json
from sfcore.quant import Scheme, quantize
from sfcore.quant.layer_sensitivity import LayerSensitivity, layer_sensitivities, worst_first
from sfcore.quant.quantizers import quantizers
from sfcore.runs.detection_shards import model_of
from sfcore.runs.errands import serve
from sfcore.runs.measurements import batches_of, digest, packed, read_frames, unpacked, write_frames
from sfcore.runs.shards import Crew, Progress, Shard, each_done, folder_of, shards_of
from sfcore.runs.spool import Errand

SIZE = 8  # quantizers of a shard


def quantized(detector: Detector, scheme: Scheme, frames: Tensor) -> Detector:
    """The calibrated model whose layers are measured: without bias correction, which would repair in later layers what
    earlier ones do."""
    return quantize(detector, scheme, batches_of(detector, frames), bias_correction=False)


def layers_in_shards(
    crew: Crew, out: Path, request: Errand, model: Detector, frames: Tensor, progress: Progress | None = None
) -> list[LayerSensitivity]:
    """:func:`sfcore.quant.layer_sensitivity.layer_sensitivities`, spread over workers.

    Args:
        out: on storage that all workers share.
        request: ``model`` as of :func:`model_of`, ``scheme`` as text, and ``device``.
        model: quantized.
    """
    folder = folder_of(out, {**request, "frames": digest(frames)})
    request = {**request, "frames": write_frames(folder, frames)}
    shards = shards_of(folder, len(list(quantizers(model))), SIZE, ".json")
    done = each_done(crew.hired(__name__, "layers", out), request, shards, progress)
    found = [one for shard in done for one in _read(shard)]
    clear_away(folder)
    return worst_first(found)


def _read(shard: Shard) -> list[LayerSensitivity]:
    """What a shard's file says. Raises InputError: it is damaged."""
    text = read_text(shard.file)
    try:
        return [LayerSensitivity(**{**one, "agreement": unpacked(one["agreement"])}) for one in parse_json(text)]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{shard.file} is damaged ({error}): delete it, then run again") from error


def carry_out(errand: Errand) -> int:
    """Measure the quantizers of a shard; how many."""
    detector, model, frames = _opened(json.dumps({key: errand[key] for key in ("model", "scheme", "frames", "device")}))
    found = layer_sensitivities(detector, model, frames, places=slice(errand["start"], errand["stop"]))
    write_json(Path(errand["file"]), [_plain(one) for one in found])
    return len(found)


@lru_cache(1)
def _opened(text: str) -> tuple[Detector, Detector, Tensor]:
    request = json.loads(text)
    detector, frames = model_of(request["model"], request["device"]), read_frames(request["frames"])
    return detector, quantized(detector, Scheme.parse(request["scheme"]), frames), frames


def _plain(one: LayerSensitivity) -> dict[str, Any]:
    return {**vars(one), "parts": dict(one.parts), "agreement": packed(one.agreement)}


if __name__ == "__main__":
    serve(carry_out)
