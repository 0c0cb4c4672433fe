"""Workers that measure while bits are allocated; ``python -m sfcore.runs.allocation_workers SPOOL`` is one of them.

An errand is some places, whose harm alone is told, or a scheme, whose agreement with full precision is told. What is
chosen is chosen by whoever allocates.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from sfcore.files import explained
from sfcore.quant import Scheme
from sfcore.quant.criteria import CRITERIA, OutputCriterion
from sfcore.quant.measuring import Here
from sfcore.quant.ranges import Ranges
from sfcore.quant.sensitivities import Place
from sfcore.runs.detection_shards import model_of
from sfcore.runs.errands import serve
from sfcore.runs.measurements import batches_of, packed, read_frames, unpacked, write_frames
from sfcore.runs.pool import WorkerPool
from sfcore.runs.shards import Crew
from sfcore.runs.spool import Errand
from sfcore.tasks.base import Agreement

SIZE = 16  # places of an errand


class Elsewhere:
    """Workers; see :class:`sfcore.quant.measuring.Measurer`.

    Args:
        request: ``model`` as of :func:`model_of`, ``base`` (the scheme of the ranges), ``calibrated`` (a file
            of frames) and ``device``.
        folder: gets files of frames.
    """

    def __init__(self, pool: WorkerPool, request: Errand, folder: Path) -> None:
        self.pool, self.request, self.folder = pool, request, folder

    def harms(
        self, ranges: Ranges, frames: Tensor, kinds: Mapping[str, type[OutputCriterion]], places: Sequence[Place]
    ) -> Iterator[tuple[Place, dict[str, float]]]:
        parts = [places[start : start + SIZE] for start in range(0, len(places), SIZE)]
        found = self._done(frames, [{"criteria": list(kinds), "places": part} for part in parts])
        for part, harms in zip(parts, found, strict=True):
            for place, harm in zip(part, harms, strict=True):
                yield place, {name: float(text) for name, text in harm.items()}

    def agreements(self, schemes: Sequence[Scheme], frames: Tensor) -> Iterator[Agreement]:
        yield from map(unpacked, self._done(frames, [{"scheme": str(scheme)} for scheme in schemes]))

    def _done(self, frames: Tensor, errands: Sequence[Errand]) -> Iterator[Any]:
        """What comes of errands, in their order; all may begin at once."""
        about = {**self.request, "frames": write_frames(self.folder, frames)}
        for future in [self.pool.put({**about, **errand}) for errand in errands]:
            yield future.result()


@contextmanager
def measuring(crew: Crew, folder: Path, request: Errand, calibrated: Tensor) -> Iterator[Elsewhere | None]:
    """Workers for an allocation, within the block; None where the command itself does the work.

    Args:
        folder: on storage that all workers share; it is theirs alone, and gone after the block, but stays where
            something went wrong, with what workers printed.
        request: ``model`` as of :func:`model_of`, ``base``, a scheme as text, and ``device``.
        calibrated: (N, ...) stacked frames that ranges are found on.
    """
    if crew.alone:
        yield None
        return
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    about = {**request, "calibrated": write_frames(folder, calibrated)}
    with crew.hired(__name__, "allocate", folder).working() as pool:
        yield Elsewhere(pool, about, folder)
    shutil.rmtree(folder, ignore_errors=True)


def carry_out(errand: Errand) -> Any:
    """The harm of each place by criterion, or an agreement."""
    measurer = _opened(json.dumps({key: errand[key] for key in ("model", "base", "calibrated", "device")}))
    frames = _frames(errand["frames"])
    if "scheme" in errand:
        return packed(next(measurer.agreements([Scheme.parse(errand["scheme"])], frames)))
    kinds: dict[str, Any] = {name: CRITERIA[name] for name in errand["criteria"]}
    places = [(str(name), int(bits)) for name, bits in errand["places"]]
    found = measurer.harms(measurer.ranges, frames, kinds, places)
    return [{name: repr(harm) for name, harm in harms.items()} for _, harms in found]  # JSON has no infinity


@lru_cache(1)
def _opened(text: str) -> Here:
    request = json.loads(text)
    detector = model_of(request["model"], request["device"])
    batches = batches_of(detector, read_frames(request["calibrated"]))
    return Here(Ranges.of(detector, Scheme.parse(request["base"]), batches))


_frames = lru_cache(3)(read_frames)  # those that quantizers are measured alone on, that bits are chosen and judged on


if __name__ == "__main__":
    serve(carry_out)
