"""The report: one HTML file about a run, or comparing two, that opens anywhere without a server or a network.

Its figures are those of the pages; nothing here imports Streamlit. What is shown is gathered by
:mod:`~sfcore.present.report.evidence`, cut into values by :mod:`~sfcore.present.report.sections`, and laid out by the
templates.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sfcore.datasets.dataset import Dataset, Frame
from sfcore.present.report.evidence import FRAMES, Evidence, Progress, gather, source_of
from sfcore.present.report.page import Page, render
from sfcore.present.report.sections import sections
from sfcore.present.report.sections.settings import DAY
from sfcore.runs import RunFolder
from sfcore.runs.tags import tags_of

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
    each = " against ".join(f"{run.spec.full_scheme().name} {run.spec.method}" for run in runs)
    names = " and ".join(run.name for run in runs)
    title = f"{runs[0].spec.detector}: {each}"
    lead = f"Report of the run{'s' * (len(runs) > 1)} {names}, made on {time.strftime(DAY)}."
    return render(Page(title, lead, [tags_of(run) for run in runs], sections(evidence)))
