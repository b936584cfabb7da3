"""Limits from a studentised bootstrap: how far resamples stray from the estimate, in units of their own standard error.

The arithmetic behind every interval of `bootstrap`; nothing else calls it. Percentiles of resamples are too narrow for
few clusters (at six they cover about 85 %), because a resample of G clusters varies less than the clusters do and knows
nothing of the uncertainty of its own spread. Studentising repairs both and follows skewed data (Efron 1982; Hall 1988).
Two details are ours and were chosen by simulation, see `benchmarks/coverage.py`:

- A resample that drew nearly the same cluster again and again has next to no spread, and its t would be without bound.
  So a resample's variance is mixed with `SHARED` parts of the variance of the data.
- t is widened by G / (G − 1).

The standard error of the estimate is CR2 (Bell and McCaffrey 2002): each cluster's residual sum is divided by
√(1 − its share of the weight). For clusters of one size it is the usual standard deviation / √G.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from analysis.statistics.arrays import divide

FEWEST_CLUSTERS = 5
"""Below this number of independent units there are no limits. With four, simulated coverage lies between 92 and 97 %,
with three between 91 and 99 %, and the limits are then so wide that they say little.
"""
SHARED = 0.06
PERCENTILES = (2.5, 97.5)
UNDEFINED_LIMIT = 0.05
"""Limits are withheld when more than this share of the resamples leaves the quantity undefined."""


@dataclass(frozen=True)
class Resampled:
    """What `limits` needs, for each column.

    `shifts` are resampled minus estimated values and `variances` the resamples' own variances of the estimate, both
    [samples, columns] and NaN where a resample leaves the quantity undefined; `error` is the CR2 standard error and
    `variance` the counterpart of `variances` in the data; `units` counts the clusters that were observed.
    """

    estimate: Float[np.ndarray, " columns"]
    error: Float[np.ndarray, " columns"]
    variance: Float[np.ndarray, " columns"]
    units: Int[np.ndarray, " columns"]
    shifts: Float[np.ndarray, "samples columns"]
    variances: Float[np.ndarray, "samples columns"]


def limits(resampled: Resampled) -> Float[np.ndarray, "2 columns"]:
    """The lower and upper 95 % limits, NaN where too few units or resamples stand behind them.

    A quantity that is the same in every cluster has no width.
    """
    shares = (1 - SHARED) * np.maximum(resampled.variances, 0) + SHARED * resampled.variance
    still = resampled.variance == 0
    t = np.where(still & ~np.isnan(resampled.shifts), 0.0, divide(resampled.shifts, np.sqrt(shares)))
    undefined = np.isnan(t)
    withheld = (resampled.units < FEWEST_CLUSTERS) | (undefined.mean(axis=0) > UNDEFINED_LIMIT)
    points = np.full((2, t.shape[1]), np.nan)
    whole = ~withheld & ~undefined.any(axis=0)
    ragged = ~withheld & ~whole
    points[:, whole] = np.percentile(t[:, whole], PERCENTILES, axis=0)
    if ragged.any():
        points[:, ragged] = np.nanpercentile(t[:, ragged], PERCENTILES, axis=0)
    widened = divide(resampled.units, resampled.units - 1)
    found: Float[np.ndarray, "2 columns"] = resampled.estimate - widened * resampled.error * points[::-1]
    return found
