"""Intervals that respect topics: whole clusters are drawn again, never single prompts.

Called for every rate, margin and divergence of the audit. Prompts of one topic resemble one another, so an interval
that treats them as independent is too narrow. Percentile intervals; with few clusters (below about ten) they are
themselves somewhat too narrow, which the number of clusters beside the interval lets a reader judge.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from analysis.errors import InputError
from analysis.statistics.arrays import RowClusters, column_blocks, divide, matrix, observed, row_clusters
from analysis.statistics.interval import Interval

PERCENTILES = (2.5, 97.5)
UNDEFINED_LIMIT = 0.05
"""An interval is withheld when more than this share of the resamples leaves the quantity undefined."""


@dataclass(frozen=True)
class IntervalColumns:
    """One interval for each column; NaN where there is none. `n` counts the clusters that were observed."""

    estimate: Float[np.ndarray, " columns"]
    low: Float[np.ndarray, " columns"]
    high: Float[np.ndarray, " columns"]
    n: Int[np.ndarray, " columns"]

    def __len__(self) -> int:
        return len(self.estimate)

    def at(self, column: int) -> Interval:
        """The interval of one column as plain numbers, with None for NaN."""
        estimate, low, high = (_number(array[column]) for array in (self.estimate, self.low, self.high))
        return Interval(estimate, low, high, int(self.n[column]))


def cluster_bootstrap(
    values: Float[np.ndarray, " n"],
    clusters: Sequence[Hashable] | None,
    *,
    samples: int = 1000,
    seed: int,
    rows_if_single: bool = False,
) -> Interval:
    """The mean of `values` with a 95 % interval from resampling clusters with replacement.

    NaN values were not observed and count nowhere. `n` of the result is the number of clusters. With fewer than two
    clusters there are no limits, unless `rows_if_single` allows the values themselves as units. `clusters=None`
    declares every value its own unit. Raises InputError when values and labels do not fit.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"values have shape {array.shape}: expected [n]; use cluster_bootstrap_columns for [n, m]")
    columns = cluster_bootstrap_columns(
        array[:, None], clusters, samples=samples, seed=seed, rows_if_single=rows_if_single
    )
    return columns.at(0)


def cluster_bootstrap_columns(
    values: Float[np.ndarray, "n m"],
    clusters: Sequence[Hashable] | None,
    *,
    samples: int = 1000,
    seed: int,
    rows_if_single: bool = False,
) -> IntervalColumns:
    """`cluster_bootstrap` of every column at once, with the same draws for all of them.

    Works on sums per cluster and multinomial weights: 1,000 samples of 600 prompts x 6,144 experts take about a second.
    """
    array = matrix(values, "values")
    groups = row_clusters(len(array), clusters)
    if groups.count < 2 and rows_if_single:
        groups = row_clusters(len(array), None)
    weights = cluster_weights(groups.count, samples, seed)
    blocks = [_block(array[:, part], groups, weights) for part in column_blocks(array.shape[1], samples)]
    if not blocks:
        return IntervalColumns(np.empty(0), np.empty(0), np.empty(0), np.empty(0, dtype=np.intp))
    return IntervalColumns(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def ratio_of_means(
    numerator: Float[np.ndarray, " a"],
    denominator: Float[np.ndarray, " b"],
    numerator_clusters: Sequence[Hashable],
    denominator_clusters: Sequence[Hashable],
    *,
    samples: int = 1000,
    seed: int,
) -> Interval:
    """mean(numerator) / mean(denominator), both drawn by the same clusters in every resample.

    The two may differ in length; their labels come from one set of topics. `n` is the number of distinct labels.
    No estimate where the denominator's mean is zero or nothing was observed, and no limits below two clusters.
    """
    for values, labels in ((numerator, numerator_clusters), (denominator, denominator_clusters)):
        row_clusters(len(values), labels)  # refuses labels that do not fit their own values
    joined = row_clusters(len(numerator) + len(denominator), [*numerator_clusters, *denominator_clusters])
    weights = cluster_weights(joined.count, samples, seed)
    top, bottom = joined.index[: len(numerator)], joined.index[len(numerator) :]
    ones = np.ones((1, joined.count))
    tops, bottoms = (
        _cluster_means(np.asarray(values, dtype=np.float64)[:, None], RowClusters(index, joined.count))
        for values, index in ((numerator, top), (denominator, bottom))
    )
    estimate = divide(tops.means(ones), bottoms.means(ones))[0]
    draws = divide(tops.means(weights), bottoms.means(weights))
    low, high = _limits(draws, np.array([joined.count]))
    return Interval(_number(estimate[0]), _number(low[0]), _number(high[0]), joined.count)


def cluster_weights(clusters: int, samples: int, seed: int) -> Float[np.ndarray, "samples clusters"]:
    """How often each cluster is drawn in each resample; every row sums to the number of clusters."""
    if clusters == 0:
        return np.zeros((samples, 0))
    shares = np.full(clusters, 1 / clusters)
    return np.random.default_rng(seed).multinomial(clusters, shares, size=samples).astype(np.float64)


@dataclass(frozen=True)
class _ClusterMeans:
    """Sums and counts per cluster, from which the mean of any resample of clusters follows."""

    sums: Float[np.ndarray, "clusters columns"]
    counts: Float[np.ndarray, "clusters columns"]

    def means(self, weights: Float[np.ndarray, "samples clusters"]) -> Float[np.ndarray, "samples columns"]:
        if (self.counts == self.counts[:, :1]).all():
            return divide(weights @ self.sums, weights @ self.counts[:, :1])
        return divide(weights @ self.sums, weights @ self.counts)


def _cluster_means(values: Float[np.ndarray, "rows columns"], groups: RowClusters) -> _ClusterMeans:
    seen, members = observed(values), groups.members
    return _ClusterMeans(members @ seen.values, members @ seen.present.astype(np.float64))


def _block(
    values: Float[np.ndarray, "rows columns"], groups: RowClusters, weights: Float[np.ndarray, "samples clusters"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    parts = _cluster_means(values, groups)
    units = (parts.counts > 0).sum(axis=0)
    low, high = _limits(parts.means(weights), units)
    return parts.means(np.ones((1, groups.count)))[0], low, high, units


def _limits(draws: Float[np.ndarray, "samples columns"], units: Int[np.ndarray, " columns"]) -> np.ndarray:
    """[2, columns]: the percentiles of the defined draws, NaN where too few units or draws stand behind them."""
    undefined = np.isnan(draws)
    withheld = (units < 2) | (undefined.mean(axis=0) > UNDEFINED_LIMIT)
    limits = np.full((2, draws.shape[1]), np.nan)
    whole = ~withheld & ~undefined.any(axis=0)
    ragged = ~withheld & ~whole
    limits[:, whole] = np.percentile(draws[:, whole], PERCENTILES, axis=0)
    if ragged.any():
        limits[:, ragged] = np.nanpercentile(draws[:, ragged], PERCENTILES, axis=0)
    return limits


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
