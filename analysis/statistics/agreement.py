"""Do several scores rank the same things alike? Pairwise, over what both of two scores know."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

TOP = 16
"""How many of the best are compared: as many as the audit takes from each criterion for candidates."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RankAgreement:
    """`rho` [scores, scores] is Spearman's rank correlation over what both have a score for, NaN where that is fewer than
    three or one of them is constant. `common` [scores, scores] counts those among the `top` of both; on the diagonal
    stands how many a score has, at most `top`.
    """

    names: tuple[str, ...]
    rho: FloatArray
    common: npt.NDArray[np.int64]
    top: int

    @property
    def median_rho(self) -> float | None:
        """The median over pairs of scores; None without any."""
        upper = self.rho[np.triu_indices(len(self.names), 1)]
        known = upper[~np.isnan(upper)]
        return float(np.median(known)) if len(known) else None


def rank_agreement(scores: Mapping[str, FloatArray], top: int = TOP) -> RankAgreement:
    """Compare scores of the same things, each [things] with NaN where it has none. The highest score ranks first, and equal
    scores share a place in ρ; among the top the earlier thing wins.
    """
    names = tuple(scores)
    rho, common = np.full((len(names), len(names)), np.nan), np.zeros((len(names), len(names)), dtype=np.int64)
    best = [_best(values, top) for values in scores.values()]
    whole = [rankdata(values) if not np.isnan(values).any() else None for values in scores.values()]
    for i, values in enumerate(scores.values()):
        rho[i, i] = 1.0 if len({*values[~np.isnan(values)].tolist()}) > 1 else np.nan
        common[i, i] = len(best[i])
    for i, j in combinations(range(len(names)), 2):
        rho[i, j] = rho[j, i] = _spearman(scores[names[i]], scores[names[j]], whole[i], whole[j])
        common[i, j] = common[j, i] = len(best[i] & best[j])
    return RankAgreement(names, rho, common, top)


def _best(values: FloatArray, top: int) -> set[int]:
    order = np.argsort(-values, kind="stable")[:top]
    return {int(place) for place in order if not np.isnan(values[place])}


def _spearman(one: FloatArray, two: FloatArray, places: FloatArray | None, others: FloatArray | None) -> float:
    """`places` and `others` are the scores' ranks where all of them are known, which need not be ranked again."""
    if places is None or others is None:
        both = ~np.isnan(one) & ~np.isnan(two)
        places, others = rankdata(one[both]), rankdata(two[both])
    if len(places) < 3 or np.ptp(places) == 0 or np.ptp(others) == 0:
        return float("nan")
    return float(np.corrcoef(places, others)[0, 1])
