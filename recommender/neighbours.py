"""For each title those that are like it, with how much: rows of a matrix that is mostly empty."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

KEPT = 100
"""Neighbours of a title; more made recommendations no better on held-back interactions."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Row r is `columns` and `weights` from `starts[r]` to `starts[r + 1]`."""

    starts: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    def add_row(self, row: int, factor: float, totals: npt.NDArray[np.float64]) -> None:
        """Add a row, times the factor, to the totals of the titles in it."""
        begin, end = self.starts[row], self.starts[row + 1]
        totals[self.columns[begin:end]] += factor * self.weights[begin:end]

    def __len__(self) -> int:
        return len(self.starts) - 1


def nobody(titles: int) -> Neighbours:
    """No title is like another."""
    return Neighbours(
        np.zeros(titles + 1, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    )


def strongest(
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    titles: int,
) -> Neighbours:
    """Of all pairs, the KEPT strongest of each row; a pair comes once."""
    order = np.lexsort((columns, -weights, rows))
    rows = rows[order]
    begins = np.searchsorted(rows, np.arange(titles))
    is_kept = np.arange(len(rows)) - begins[rows] < KEPT
    chosen = order[is_kept]
    starts = np.zeros(titles + 1, np.int64)
    np.cumsum(np.bincount(rows[is_kept], minlength=titles), out=starts[1:])
    return Neighbours(starts, columns[chosen], weights[chosen].astype(np.float32))
