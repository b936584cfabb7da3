"""Does the behaviour sit in a few experts or in many? Both measures look at single-ablation effects of any scale."""

import numpy as np
from jaxtyping import Float


def m80(effects: Float[np.ndarray, "..."], share: float = 0.8) -> int | None:
    """The fewest experts that together carry `share` of the positive effect; None when no effect is positive."""
    ranked = np.sort(_positive_part(effects))[::-1]
    total = ranked.sum()
    if total == 0:
        return None
    # the slack keeps 0.8 of ten equal effects at eight in spite of rounding
    return int(np.searchsorted(np.cumsum(ranked), share * total * (1 - 1e-12)) + 1)


def gini(effects: Float[np.ndarray, "..."]) -> float | None:
    """Gini coefficient of the positive effect over all measured experts, those without any counting as zero.

    0 when all carry the same, (n − 1)/n when one of n carries everything; None when no effect is positive. Experts
    without effect stay in: left out, a single necessary expert would look perfectly even.
    """
    ranked = np.sort(_positive_part(effects))
    total, n = ranked.sum(), ranked.size
    if total == 0:
        return None
    places = np.arange(1, n + 1)
    return float((2 * places - n - 1) @ ranked / (n * total))


def _positive_part(effects: Float[np.ndarray, "..."]) -> Float[np.ndarray, " measured"]:
    values = np.asarray(effects, dtype=np.float64).ravel()
    return np.maximum(values[~np.isnan(values)], 0.0)
