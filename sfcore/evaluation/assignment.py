"""The pairing of labelled with predicted lanes as CULane's official tool finds it."""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-2  # weights that differ by less count as equal, so a pairing may be slightly worse than the best
_NONE, _LOWEST, _HIGHEST = -1, -1e5, 1e10


def match(similarity: np.ndarray) -> list[int]:
    """The column paired with each row, -1 for none.

    The Hungarian method with a tolerance. It pairs all of the smaller side, unless one of its lanes has NaN with every
    other: then it stops, and those that come after have no partner either.

    Args:
        similarity: (rows, columns), at least one each; NaN is like nothing.
    """
    rows, columns = similarity.shape
    if rows > columns:
        return _Matching(similarity.T.tolist()).partners
    row_of = _Matching(similarity.tolist()).partners
    return [row_of.index(row) if row in row_of else _NONE for row in range(rows)]


class _Matching:
    """Pairs each row of a table with a column of its own; there are at least as many columns.

    Attributes:
        partners: the row paired with each column, -1 for none.
    """

    def __init__(self, table: list[list[float]]) -> None:
        self._table = table
        self._row_weights = [max((value for value in row if value > _LOWEST), default=_LOWEST) for row in table]
        self._column_weights = [0.0] * len(table[0])
        self._rows: set[int] = set()  # reached in the current search
        self._columns: set[int] = set()
        self.partners = [_NONE] * len(table[0])
        for row in range(len(table)):
            if not self._place(row):
                break

    def _place(self, row: int) -> bool:
        """Give a row a column, moving others; False where nothing compares with it."""
        while True:
            self._rows.clear()
            self._columns.clear()
            if self._search(row):
                return True
            step = self._smallest_gap()
            if step == _HIGHEST:
                return False
            for reached in self._rows:
                self._row_weights[reached] -= step
            for reached in self._columns:
                self._column_weights[reached] += step

    def _search(self, row: int) -> bool:
        self._rows.add(row)
        for column, partner in enumerate(self.partners):
            if column not in self._columns and abs(self._gap(row, column)) < TOLERANCE:
                self._columns.add(column)
                if partner == _NONE or self._search(partner):
                    self.partners[column] = row
                    return True
        return False

    def _smallest_gap(self) -> float:
        smallest = _HIGHEST
        for row in self._rows:
            for column in range(len(self.partners)):
                if column not in self._columns and self._gap(row, column) < smallest:  # never so for NaN
                    smallest = self._gap(row, column)
        return smallest

    def _gap(self, row: int, column: int) -> float:
        return self._row_weights[row] + self._column_weights[column] - self._table[row][column]
