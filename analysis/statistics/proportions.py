"""Rates and paired rates: how many of n refused, and how that changed when the same prompts were asked again.

Called by the outcome panels and by the comparison of a masked model with its base. Rates treat prompts as independent
(Wilson); use `paired_difference` or `cluster_bootstrap` where topics matter.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Bool

from analysis.errors import InputError
from analysis.statistics.bootstrap import cluster_bootstrap
from analysis.statistics.interval import Interval

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
    from scipy import stats  # over a second to import, and most callers of this package need none of it

    limits = stats.binomtest(int(successes), int(n)).proportion_ci(0.95, method="wilson")
    return Interval(successes / n, float(limits.low), float(limits.high), int(n))


def wilson_half_width(rate: float, n: int) -> float:
    """Half the width of Wilson's 95 % interval around an observed `rate` of n prompts: what n can resolve.

    Wilson (1927): z / (1 + z²/n) · √(p(1−p)/n + z²/4n²). Raises InputError outside 0 <= rate <= 1 and n >= 1.
    """
    if not (0 <= rate <= 1 and n >= 1):
        raise InputError(f"rate {rate} of {n} prompts: expected a rate in [0, 1] and at least one prompt")
    inner = rate * (1 - rate) / n + Z95**2 / (4 * n**2)
    return Z95 * math.sqrt(inner) / (1 + Z95**2 / n)


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
    """rate(after) − rate(before) on the same prompts, with the interval from resampling topics. Negative is fewer."""
    first, second = _pair(before, after)
    return cluster_bootstrap(second.astype(float) - first.astype(float), clusters, samples=samples, seed=seed)


def _pair(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    if first.shape != second.shape or first.ndim != 1:
        raise InputError(
            f"{first.shape} answers before and {second.shape} after: expected the same prompts, in one row"
        )
    return first, second
