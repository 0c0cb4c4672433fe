"""The sections of a report, each a file: values taken from the evidence, and the template that lays them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from sfcore.present.report.evidence import Evidence
from sfcore.present.report.sections import engines, frames, noise, results, scenarios, settings, tuning


class Section(Protocol):
    """One section's values; its template knows them as ``section``."""

    template: ClassVar[str]


ALL: tuple[Callable[[Evidence], Section | None], ...] = (
    results.section, frames.section, scenarios.section, engines.section, noise.section, tuning.section,
    settings.section,
)  # fmt: skip


def sections(evidence: Evidence) -> list[Section]:
    """Those that there is something to show in, in the order of the page."""
    return [found for section in ALL if (found := section(evidence))]
