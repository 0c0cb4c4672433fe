"""Objects of two sets in pairs: as alike in sum as can be."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def pair(similarity: Tensor, minimum: float) -> Tensor:
    """Pair rows with columns so that the total similarity is largest; pairs under ``minimum`` are none.

    Where the best columns of all rows differ, or the best rows of all columns, they are the pairing: no other
    could total more. Only the frames left go through the assignment solver.

    Args:
        similarity: (B, La, Lb).

    Returns:
        (B, La) long: the column paired with each row, or -1.
    """
    if not similarity.numel():
        return torch.full(similarity.shape[:2], -1, device=similarity.device)
    allowed = similarity.detach().masked_fill(~(similarity >= max(minimum, 1e-9)), 0.0)
    columns, by_row = _best(allowed)
    rows, by_column = _best(allowed.transpose(1, 2))
    if not bool(by_row.all()):
        taken = rows.unsqueeze(1) == torch.arange(allowed.shape[1], device=rows.device)[:, None]
        inverse = torch.where(taken.any(2), taken.long().argmax(2), -1)
        columns = torch.where(by_row.unsqueeze(1), columns, inverse)
        hard = (~by_row & ~by_column).nonzero().flatten()
        if len(hard):
            columns[hard] = _assign(allowed[hard])
    return columns


def _best(allowed: Tensor) -> tuple[Tensor, Tensor]:
    """(B, La) the best column of each row, -1 where none is allowed; (B,) bool: whether all of these differ."""
    value, column = allowed.max(2)
    some = value > 0
    chosen = (column.unsqueeze(2) == torch.arange(allowed.shape[2], device=column.device)) & some.unsqueeze(2)
    return torch.where(some, column, -1), (chosen.sum(1) <= 1).all(1)


def _assign(allowed: Tensor) -> Tensor:
    """(B, La) columns of the assignment with the largest total, -1 for none; one frame at a time."""
    values = allowed.cpu().numpy()
    columns = np.full(values.shape[:2], -1)
    for frame, table in enumerate(values):
        row, column = linear_sum_assignment(table, maximize=True)
        columns[frame, row] = np.where(table[row, column] > 0, column, -1)
    return torch.from_numpy(columns).to(allowed.device)


def unpaired(pairs: Tensor, columns: int) -> Tensor:
    """(B, Lb) bool: which of so many columns are the partner of no row of ``pairs``, (B, La)."""
    taken = torch.zeros(len(pairs), columns + 1, dtype=torch.bool, device=pairs.device)
    taken.scatter_(1, torch.where(pairs < 0, columns, pairs), True)
    return ~taken[:, :-1]
