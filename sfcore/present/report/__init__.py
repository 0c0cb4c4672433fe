"""The report: one HTML file about a run, or comparing two, that opens anywhere without a server or a network.

Its figures are those of the pages; nothing here imports Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence

from sfcore.datasets.dataset import Dataset, Frame
from sfcore.present.report import page, sections
from sfcore.present.report.evidence import FRAMES, Evidence, Progress, gather, source_of
from sfcore.present.report.settings import lead, settings
from sfcore.runs import RunFolder

__all__ = ["FRAMES", "Evidence", "Progress", "gather", "report", "source_of", "write"]


def report(
    runs: Sequence[RunFolder],
    dataset: Dataset | None = None,
    frames: Sequence[Frame] | None = None,
    progress: Progress | None = None,
) -> str:
    """The report of one run, or of two compared, as HTML.

    Args:
        dataset, frames: see :func:`sfcore.present.report.evidence.gather`.
        progress: called with (what is done, done, total).

    Raises:
        InputError: see :func:`sfcore.present.report.evidence.gather`.
    """
    return write(gather(runs, dataset, frames, progress=progress))


def write(evidence: Evidence) -> str:
    """The report from its evidence."""
    runs = evidence.runs
    said = [f"{run.spec.full_scheme().name} {run.spec.method}" for run in runs]
    return page.document(
        f"{runs[0].spec.detector}: {' against '.join(said)}",
        lead(runs),
        [
            sections.headline(evidence),
            sections.frames(evidence),
            sections.scenarios(evidence),
            sections.noise(evidence),
            sections.tuning(evidence),
            settings(runs),
        ],
    )
