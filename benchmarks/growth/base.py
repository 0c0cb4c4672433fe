"""What a part of the measurement is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import Row


@dataclass(frozen=True)
class Part:
    """Figures along one quantity that grows.

    Attributes:
        cells: what is measured one by one, of the command's options.
        measure: one cell's figures; gets a folder that all cells of the part may keep files in.
    """

    cells: Callable[[argparse.Namespace], Sequence[Row]]
    measure: Callable[[Row, Path], Row]

    def missing(self, args: argparse.Namespace, rows: Sequence[Row]) -> list[Row]:
        """Cells that no row is of."""
        return [cell for cell in self.cells(args) if not any(cell.items() <= row.items() for row in rows)]
