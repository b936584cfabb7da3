"""The moderated t that ranks experts by a paired difference. A score to rank by, not a p value: see permutation."""

import numpy as np
from jaxtyping import Float

from analysis.errors import WithheldError
from analysis.statistics.arrays import divide, matrix, observed


def moderated_t(differences: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """mean / (sd/√n + s0) for each column, with s0 the median of sd/√n over the columns.

    The added constant keeps a rarely used expert, whose differences are tiny and nearly constant, from topping the list
    (Tusher, Tibshirani and Chu 2001). NaN differences were not observed; a column with fewer than two gets NaN, and a
    column that never differs gets 0. Raises WithheldError for fewer than two rows.
    """
    array = matrix(differences, "differences")
    if len(array) < 2:
        raise WithheldError(f"a paired t needs at least two pairs, found {len(array)}: add matched pairs")
    seen = observed(array)
    n = seen.present.sum(axis=0)
    mean = divide(seen.values.sum(axis=0), n)
    squares = np.where(seen.present, (seen.values - mean) ** 2, 0.0).sum(axis=0)
    error = np.sqrt(divide(squares, n * np.maximum(n - 1, 0)))
    return _quotient(mean, error)


def _quotient(mean: Float[np.ndarray, " m"], error: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    known = ~np.isnan(error)
    if not known.any():
        return np.full(mean.shape, np.nan)
    denominator = error + np.median(error[known])
    still = known & (mean == 0)
    return np.where(still, 0.0, divide(mean, denominator))
