"""Rates and paired rates: how many of n refused, and how that changed when the same prompts were asked again.

Called by the outcome panels and by the comparison of a masked model with its base. `wilson` treats prompts as
independent; `clustered_rate` and `paired_difference` do not.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Bool

from analysis.errors import InputError
from analysis.statistics.arrays import row_clusters
from analysis.statistics.bootstrap import cluster_bootstrap
from analysis.statistics.cluster_means import ClusterMeans
from analysis.statistics.interval import Interval
from analysis.statistics.studentised import FEWEST_CLUSTERS

Z95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


def wilson(successes: int, n: int) -> Interval:
    """successes / n with Wilson's 95 % score interval; all None for n = 0.

    Raises InputError unless 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise InputError(f"{successes} successes of {n}: expected 0 <= successes <= n")
    if n == 0:
        return Interval(None, None, None, 0)
    successes, n = int(successes), int(n)
    rate, around = successes / n, 2 * (n + Z95**2)
    centre, reach = (2 * n * rate + Z95**2) / around, Z95 / around * math.sqrt(4 * n * rate * (1 - rate) + Z95**2)
    return Interval(rate, centre - reach if successes else 0.0, centre + reach if successes < n else 1.0, n)


def clustered_rate(hits: Bool[np.ndarray, " n"], clusters: Sequence[Hashable]) -> Interval:
    """The rate of `hits` with Wilson's interval for as many independent prompts as these are worth (`n` counts all).

    The worth follows from how much the clusters differ: n times p(1−p)/n over the CR2 variance, with Student's t of
    clusters − 1 degrees of freedom for the normal point (Dean and Pagano 2015), and never more than n. No limits below
    FEWEST_CLUSTERS. Where all or none are hits the clusters cannot differ, and the prompts count in full.
    """
    array = np.asarray(hits, dtype=np.float64)
    groups = row_clusters(len(array), clusters)
    if not len(array):
        return Interval(None, None, None, 0)
    rate, n = float(array.mean()), len(array)
    if groups.count < FEWEST_CLUSTERS:
        return Interval(rate, None, None, n)
    from scipy import stats  # over a second to import, and most callers of this package need none of it

    worth = float(n)
    variance = float(ClusterMeans.of(array[:, None], groups).resampled(np.empty((0, groups.count))).error[0] ** 2)
    if variance > 0:
        t = float(stats.t.ppf(0.975, groups.count - 1))
        worth = min(worth, rate * (1 - rate) / variance * (Z95 / t) ** 2)
    centre = (rate + Z95**2 / (2 * worth)) / (1 + Z95**2 / worth)
    half = Z95 * math.sqrt(rate * (1 - rate) / worth + Z95**2 / (4 * worth**2)) / (1 + Z95**2 / worth)
    return Interval(rate, max(0.0, centre - half), min(1.0, centre + half), n)


def mcnemar_exact(before: Bool[np.ndarray, " n"], after: Bool[np.ndarray, " n"]) -> float:
    """Two-sided exact McNemar p: could so lopsided a change of answers come from a fair coin? 1.0 when none changed."""
    first, second = _pair(before, after)
    gained = int((~first & second).sum())
    changed = int((first != second).sum())
    if changed == 0:
        return 1.0
    from scipy import stats  # see wilson

    return float(stats.binomtest(gained, changed, 0.5).pvalue)


def paired_difference(
    before: Bool[np.ndarray, " n"],
    after: Bool[np.ndarray, " n"],
    clusters: Sequence[Hashable] | None,
    *,
    samples: int = 1000,
    seed: int,
) -> Interval:
    """rate(after) − rate(before) on the same prompts, with the interval from resampling topics. Negative is fewer.

    Where no answer changed, or every one in the same way, resampling would claim certainty: the limits are then
    Wilson's for none, or all, of n changed.
    """
    first, second = _pair(before, after)
    change = second.astype(float) - first.astype(float)
    interval = cluster_bootstrap(change, clusters, samples=samples, seed=seed, bounds=(-1.0, 1.0))
    if interval.high is None or np.ptp(change) > 0:
        return interval
    alike = wilson(len(change) if change[0] else 0, len(change))
    assert alike.low is not None
    assert alike.high is not None
    if change[0] == 0:
        return Interval(0.0, -alike.high, alike.high, interval.n)
    ends = sorted((change[0] * alike.low, change[0]))
    return Interval(float(change[0]), float(ends[0]), float(ends[1]), interval.n)


def _pair(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    if first.shape != second.shape or first.ndim != 1:
        raise InputError(
            f"{first.shape} answers before and {second.shape} after: expected the same prompts, in one row"
        )
    return first, second
