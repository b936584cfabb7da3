"""Counts of a few of very many possible cells: what a shard keeps of co-activation and of token ids.

A layer with 512 experts has 131,000 pairs of experts and a batch touches few of them, so shards hold the cells that are
not zero. `analysis.routing.trace` makes and joins them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class SparseCounts:
    """`cells` are the flat indices of what was counted, ascending and each once; `counts` how often."""

    cells: npt.NDArray[np.int64]
    counts: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, cells: npt.NDArray[np.int64]) -> "SparseCounts":
        """Count how often each flat index occurs."""
        found, counts = np.unique(cells, return_counts=True)
        return cls(found, counts.astype(np.uint32))

    @classmethod
    def from_dense(cls, dense: npt.NDArray[np.unsignedinteger]) -> "SparseCounts":
        flat = dense.reshape(-1)
        cells = np.flatnonzero(flat).astype(np.int64)
        return cls(cells, flat[cells].astype(np.uint32))

    @classmethod
    def total(cls, parts: Sequence["SparseCounts"]) -> "SparseCounts":
        """The sum of several; nothing for none."""
        if not parts:
            return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint32))
        cells, place = np.unique(np.concatenate([part.cells for part in parts]), return_inverse=True)
        counts = np.zeros(len(cells), dtype=np.uint32)
        np.add.at(counts, place, np.concatenate([part.counts for part in parts]))
        return cls(cells, counts)

    def dense(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint32]:
        """The whole array, zero where nothing was counted."""
        array = np.zeros(shape, dtype=np.uint32)
        array.reshape(-1)[self.cells] = self.counts
        return array
