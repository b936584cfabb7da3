"""A mean over rows that belong to clusters, or to two clusters at once, and how any resample of clusters changes it.

Used by `bootstrap` only. All three kinds rest on sums per cluster, so a resample costs a product of small matrices and
no row is looked at twice.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.errors import InputError
from analysis.statistics.arrays import RowClusters, divide, observed
from analysis.statistics.studentised import Resampled

ROUNDING = 1e-12
"""Residual sums below this share of the sums themselves are what adding in another order leaves."""


@dataclass(frozen=True)
class ClusterPairs:
    """Labels of values that lie between two clusters, such as the distance of two prompts of different topics.

    Such values are dependent through either end: whoever drops a topic drops every value that touches it.
    """

    left: Sequence[Hashable]
    right: Sequence[Hashable]


@dataclass(frozen=True)
class ClusterMeans:
    """Many means over the same clusters: sums and counts per cluster and column."""

    sums: Float[np.ndarray, "clusters columns"]
    counts: Float[np.ndarray, "clusters columns"]

    @classmethod
    def of(cls, values: Float[np.ndarray, "rows columns"], groups: RowClusters) -> "ClusterMeans":
        seen, members = observed(values), groups.members
        counts = members @ seen.present.astype(np.float64)
        if counts.shape[1] and (counts == counts[:, :1]).all():
            counts = counts[:, :1]
        return cls(members @ seen.values, counts)

    @property
    def units(self) -> np.ndarray:
        """How many clusters were observed, for each column."""
        units: np.ndarray = np.broadcast_to((self.counts > 0).sum(axis=0), self.sums.shape[1:])
        return units

    def estimate(self) -> Float[np.ndarray, " columns"]:
        return divide(self.sums.sum(axis=0), self.counts.sum(axis=0))

    def resampled(self, weights: Float[np.ndarray, "samples clusters"]) -> Resampled:
        estimate, total = self.estimate(), self.counts.sum(axis=0)
        residuals = self.sums - self.counts * np.nan_to_num(estimate)
        residuals[np.abs(residuals) <= ROUNDING * np.abs(self.sums)] = 0.0
        drawn = weights @ self.counts
        shifts = divide(weights @ residuals, drawn)
        squares = (
            weights @ residuals**2
            - 2 * shifts * (weights @ (residuals * self.counts))
            + shifts**2 * (weights @ self.counts**2)
        )
        finite = divide(self.units, self.units - 1)
        leverage = divide(residuals**2, 1 - divide(self.counts, total))
        return Resampled(
            estimate=estimate,
            error=np.sqrt(divide(np.nansum(leverage, axis=0), total**2)),
            variance=divide((residuals**2).sum(axis=0), total**2) * finite,
            units=self.units,
            shifts=shifts,
            variances=divide(squares, drawn**2) * finite,
        )


@dataclass(frozen=True)
class Drawn:
    """One mean in each resample, what each drawn copy of a cluster adds to its error, and each cluster's share."""

    means: Float[np.ndarray, " samples"]
    influence: Float[np.ndarray, "samples clusters"]
    share: Float[np.ndarray, " clusters"]


@dataclass(frozen=True)
class SingleMean:
    """One mean of values that belong to a cluster each."""

    sums: Float[np.ndarray, " clusters"]
    counts: Float[np.ndarray, " clusters"]

    @classmethod
    def of(cls, values: Float[np.ndarray, " rows"], groups: RowClusters) -> "SingleMean":
        means = ClusterMeans.of(values[:, None], groups)
        return cls(means.sums[:, 0], means.counts[:, 0])

    def drawn(self, weights: Float[np.ndarray, "samples clusters"]) -> Drawn:
        count = (weights @ self.counts)[:, None]
        means = divide(weights @ self.sums, count[:, 0])
        residuals = self.sums - means[:, None] * self.counts
        return Drawn(means, divide(residuals, count), divide(self.counts, self.counts.sum()))


@dataclass(frozen=True)
class BetweenMean:
    """One mean of values that lie between two clusters each: symmetric sums and counts, nothing on the diagonal.

    A resample that draws a cluster twice counts its values to others twice, and has none between the two copies.
    """

    sums: Float[np.ndarray, "clusters clusters"]
    counts: Float[np.ndarray, "clusters clusters"]

    @classmethod
    def of(cls, values: Float[np.ndarray, " rows"], left: np.ndarray, right: np.ndarray, count: int) -> "BetweenMean":
        if (left == right).any():
            raise InputError("a value lies between a cluster and itself: expected two different clusters for each")
        seen = observed(values)
        sums, counts = np.zeros((count, count)), np.zeros((count, count))
        for a, b in ((left, right), (right, left)):
            np.add.at(sums, (a, b), seen.values)
            np.add.at(counts, (a, b), seen.present.astype(np.float64))
        return cls(sums, counts)

    def drawn(self, weights: Float[np.ndarray, "samples clusters"]) -> Drawn:
        sums, counts = weights @ self.sums, weights @ self.counts
        count = (weights * counts).sum(axis=1) / 2
        means = divide((weights * sums).sum(axis=1) / 2, count)
        residuals = sums - means[:, None] * counts
        return Drawn(means, divide(residuals, count[:, None]), divide(self.counts.sum(axis=1), self.counts.sum()))


def resampled_mean(mean: SingleMean | BetweenMean, weights: Float[np.ndarray, "samples clusters"]) -> Resampled:
    """One mean, its error by the influence of each cluster (for values between clusters: of all that touch it)."""
    ones = np.ones((1, weights.shape[1]))
    return _studentise(mean.drawn(ones), mean.drawn(weights), weights)


def resampled_log_ratio(
    top: SingleMean | BetweenMean, bottom: SingleMean | BetweenMean, weights: Float[np.ndarray, "samples clusters"]
) -> Resampled:
    """log(top / bottom), both from the same clusters in every resample; undefined where either is not positive."""
    ones = np.ones((1, weights.shape[1]))
    whole, many = (_log_ratio(top.drawn(rows), bottom.drawn(rows)) for rows in (ones, weights))
    return _studentise(whole, many, weights)


def _log_ratio(top: Drawn, bottom: Drawn) -> Drawn:
    (a, above), (b, below) = ((np.where(one.means > 0, one.means, np.nan), one.influence) for one in (top, bottom))
    return Drawn(np.log(a / b), above / a[:, None] - below / b[:, None], (top.share + bottom.share) / 2)


def _studentise(whole: Drawn, many: Drawn, weights: Float[np.ndarray, "samples clusters"]) -> Resampled:
    influence = whole.influence[0]
    influence = np.where(np.abs(influence) <= ROUNDING * max(1.0, np.nan_to_num(np.abs(whole.means[0]))), 0, influence)
    units = np.array([(whole.share > 0).sum()])
    finite = divide(units, units - 1)
    leverage = np.nansum(divide(influence**2, 1 - whole.share))
    return Resampled(
        estimate=whole.means,
        error=np.sqrt(leverage[None]),
        variance=(influence**2).sum()[None] * finite,
        units=units,
        shifts=(many.means - whole.means[0])[:, None],
        variances=(weights * many.influence**2).sum(axis=1)[:, None] * finite,
    )
