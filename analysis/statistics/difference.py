"""Differences of what was measured apart: between the means of two groups of prompts that share topics, and between
two estimates of which only the intervals are known.

`difference_of_means` is called by the `safex` criterion for its control margin. Prompts of one topic resemble one
another in both groups, so a topic is drawn or left out with all its prompts. `difference_of_intervals` is called where
two finished audits are compared.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float

from analysis.errors import InputError
from analysis.statistics.arrays import matrix, row_clusters
from analysis.statistics.bootstrap import IntervalColumns
from analysis.statistics.interval import Interval
from analysis.statistics.studentised import FEWEST_CLUSTERS


def difference_of_means(
    left: Float[np.ndarray, "a m"],
    right: Float[np.ndarray, "b m"],
    left_clusters: Sequence[Hashable],
    right_clusters: Sequence[Hashable],
) -> IntervalColumns:
    """mean(left) − mean(right) of every column with a 95 % interval, robust to clusters.

    The sandwich variance of the regression of a value on its group, with clusters as units and the usual small-sample
    factors (CR1: Liang and Zeger 1986, Stata's form), and Student's t with clusters − 1 degrees of freedom, which holds
    better with few topics than a percentile bootstrap. `n` counts the clusters. No limits below `FEWEST_CLUSTERS` of
    them. Raises InputError for an empty group, or widths that differ.
    """
    one, other = matrix(left, "left").astype(np.float64), matrix(right, "right").astype(np.float64)
    if not len(one) or not len(other) or one.shape[1] != other.shape[1]:
        raise InputError(f"groups of shapes {one.shape} and {other.shape}: expected rows in both, and equal columns")
    groups = row_clusters(len(one) + len(other), [*left_clusters, *right_clusters])
    pull = np.concatenate([(one - one.mean(0)) / len(one), -(other - other.mean(0)) / len(other)])
    by_cluster = groups.members @ pull
    rows, clusters = len(pull), groups.count
    estimate = one.mean(0) - other.mean(0)
    half = _half_width((by_cluster**2).sum(0), rows, clusters)
    return IntervalColumns(estimate, estimate - half, estimate + half, np.full(len(estimate), clusters))


def difference_of_intervals(minuend: Interval, subtrahend: Interval) -> Interval:
    """minuend − subtrahend of two independent estimates, with an interval made of theirs; `n` is the smaller one.

    The limits of each are recovered as its variance there (MOVER: Zou and Donner 2008). Of two Wilson intervals this is
    Newcombe's hybrid score interval (1998, method 10). Where the two rise and fall together, as on the same prompts,
    it is wider than need be. No limits where one of the two has none.
    """
    n = min(minuend.n, subtrahend.n)
    if minuend.estimate is None or subtrahend.estimate is None:
        return Interval(None, None, None, n)
    estimate = minuend.estimate - subtrahend.estimate
    if minuend.low is None or minuend.high is None or subtrahend.low is None or subtrahend.high is None:
        return Interval(estimate, None, None, n)
    below = math.hypot(minuend.estimate - minuend.low, subtrahend.high - subtrahend.estimate)
    above = math.hypot(minuend.high - minuend.estimate, subtrahend.estimate - subtrahend.low)
    return Interval(estimate, estimate - below, estimate + above, n)


def _half_width(variance: Float[np.ndarray, " m"], rows: int, clusters: int) -> Float[np.ndarray, " m"]:
    if clusters < FEWEST_CLUSTERS:
        return np.full(variance.shape, np.nan)
    from scipy import stats  # over a second to import

    correction = clusters / (clusters - 1) * (rows - 1) / (rows - 2)
    quantile = float(stats.t.ppf(0.975, clusters - 1))
    half: Float[np.ndarray, " m"] = quantile * np.sqrt(correction * variance)
    return half
