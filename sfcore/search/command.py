"""The command line that asks for a search, or goes on with it."""

from __future__ import annotations

import shlex
from pathlib import Path

from sfcore.quant.methods.options import as_words
from sfcore.quant.methods.recipe import METHODS
from sfcore.quant.transforms import beyond_usual
from sfcore.runs import RunSpec
from sfcore.search.folder import Search


def command(path: Path, search: Search) -> str:
    """``sfcore search …`` with everything that the search was asked, for a shell."""
    spec = RunSpec.from_dict(search.spec)
    usual = METHODS[spec.method].calibration()
    words = ["sfcore", "search", spec.detector]
    words += [word for source in spec.images for word in ("--images", source)]
    words += ["--method", spec.method, "--bits", spec.scheme, "--over", *search.over]
    words += ["--set", *as_words(spec.options)] if spec.options else []
    words += ["--sampler", search.sampler, "--trials", str(search.trials)]
    words += [] if search.early else ["--to-the-end"]
    given = {
        "weights": spec.weights, "weights-key": spec.weights_key, "limit": spec.limit, "seed": spec.seed or None,
        "device": spec.device if spec.device != "auto" else None,
        **{name.replace("_", "-"): getattr(spec, name) for name in usual if getattr(spec, name) != usual[name]},
    }  # fmt: skip
    words += [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    words += ["--no-bias-correction"] if not spec.bias_correction else []
    words += ["--transforms", *chosen] if (chosen := beyond_usual(spec.transforms)) else []
    return shlex.join([*words, "--out", str(path)])
