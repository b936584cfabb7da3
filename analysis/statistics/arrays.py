"""Means over weighted rows that skip what was not observed (NaN), and the grouping of rows by cluster.

The shared arithmetic of the bootstrap, the sign flips and stability selection; nothing outside this package calls it.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.errors import InputError

BLOCK_BYTES = 64 * 2**20
"""Roughly what one intermediate matrix may take; columns are worked through in blocks of this size."""


@dataclass(frozen=True)
class RowClusters:
    """Which cluster each row belongs to. `index[row]` is in `range(count)`; clusters count in order of appearance."""

    index: Int[np.ndarray, " rows"]
    count: int

    @property
    def members(self) -> Float[np.ndarray, "clusters rows"]:
        """1 where the row belongs to the cluster: `members @ values` is the sum per cluster."""
        members: Float[np.ndarray, "clusters rows"] = np.equal.outer(np.arange(self.count), self.index).astype(
            np.float64
        )
        return members


def row_clusters(rows: int, clusters: Sequence[Hashable] | None) -> RowClusters:
    """Groups the rows by their label; without labels every row stands for itself.

    Raises InputError when there is not one label for each row.
    """
    if clusters is None:
        return RowClusters(np.arange(rows), rows)
    labels = list(clusters)
    if len(labels) != rows:
        raise InputError(f"{len(labels)} cluster labels for {rows} values: give one label for each value")
    places: dict[Hashable, int] = {}
    index = [places.setdefault(label, len(places)) for label in labels]
    return RowClusters(np.array(index, dtype=np.intp), len(places))


@dataclass(frozen=True)
class Observed:
    """Values with zeros where nothing was observed, and where something was."""

    values: Float[np.ndarray, "rows columns"]
    present: Bool[np.ndarray, "rows columns"]


def observed(values: Float[np.ndarray, "rows columns"]) -> Observed:
    present = ~np.isnan(values)
    return Observed(np.where(present, values, 0.0).astype(np.float64, copy=False), present)


def divide(total: np.ndarray, count: np.ndarray) -> Float[np.ndarray, "..."]:
    """`total / count`, NaN where there is nothing to divide by."""
    quotient = np.full(np.broadcast_shapes(np.shape(total), np.shape(count)), np.nan)
    np.divide(total, count, out=quotient, where=count != 0)
    return quotient


def weighted_means(
    weights: Float[np.ndarray, "samples rows"], values: Float[np.ndarray, "rows columns"]
) -> Float[np.ndarray, "samples columns"]:
    """The weighted mean of each column for each row of weights, over the values observed."""
    seen = observed(values)
    if seen.present.all():
        return divide(weights @ seen.values, weights.sum(axis=1, keepdims=True))
    return divide(weights @ seen.values, weights @ seen.present.astype(np.float64))


def matrix(values: np.ndarray, name: str) -> Float[np.ndarray, "rows columns"]:
    """`values` as an array of two dimensions, or InputError."""
    array = np.asarray(values)
    if array.ndim != 2:
        raise InputError(f"{name} have shape {array.shape}: expected two dimensions, [rows, columns]")
    return array


def column_blocks(columns: int, height: int) -> Iterator[slice]:
    """Slices over the columns such that a float64 matrix [height, width of the slice] stays within BLOCK_BYTES."""
    width = max(1, BLOCK_BYTES // (8 * max(1, height)))
    return (slice(start, min(start + width, columns)) for start in range(0, columns, width))
