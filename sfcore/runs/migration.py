"""Run records as earlier versions wrote them, brought to the present form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfcore.quant.scheme import HEADS

WIDE = 16  # bits that methods of format 1 gave the heads' own branches
WIDE_METHODS = ("calibrate", "lane-focus", "best")  # those that did so unless told otherwise


def migrated(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of format 1 in format 2, in which bits belong to the scheme and no method decides any.

    What is missing from a damaged record stays missing, for whoever reads it to say.
    """
    spec = dict(record.get("spec") or {})
    options = dict(spec.get("options") or {})
    wide = options.pop("wide_heads", spec.get("method") in WIDE_METHODS)
    if wide and "scheme" in spec:
        spec["scheme"] = f"{spec['scheme']},{HEADS}={WIDE}"
    return {**record, "format": 2, "spec": {**spec, "options": options}}
