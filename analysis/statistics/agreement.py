"""Do several scores rank the same things alike? Pairwise, over what both of two scores know."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np
import numpy.typing as npt

TOP = 16
"""How many of the best are compared: as many as the audit takes from each criterion for candidates."""
FEWEST = 3

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairAgreement:
    """Two scores. `rho` is Spearman's rank correlation over the `n` things that both have a score for, None where there
    are fewer than FEWEST or one of the two is constant there; `common` of the top things are the same."""

    one: str
    two: str
    rho: float | None
    common: int
    n: int


@dataclass(frozen=True)
class RankAgreement:
    """Every pair of scores, and how many of the best are compared."""

    pairs: tuple[PairAgreement, ...]
    top: int

    @property
    def median_rho(self) -> float | None:
        """The median over pairs that have a ρ; None without any."""
        known = [pair.rho for pair in self.pairs if pair.rho is not None]
        return median(known) if known else None


def rank_agreement(scores: Mapping[str, FloatArray], top: int = TOP) -> RankAgreement:
    """Compare scores of the same things, each [things] with NaN where it has none. The highest score ranks first; equal
    scores share a place in ρ, and among the top the earlier thing wins.
    """
    from scipy.stats import rankdata  # over a second to import

    best = {name: _best(values, top) for name, values in scores.items()}
    # Ranking 48,000 experts takes milliseconds, once for each score and not for each pair, where all have one.
    places = {name: rankdata(values) for name, values in scores.items() if not np.isnan(values).any()}
    pairs = []
    for one, two in combinations(scores, 2):
        both = ~np.isnan(scores[one]) & ~np.isnan(scores[two])
        rho = _correlation(
            *(places[name] if name in places and both.all() else rankdata(scores[name][both]) for name in (one, two))
        )
        pairs.append(PairAgreement(one, two, rho, len(best[one] & best[two]), int(both.sum())))
    return RankAgreement(tuple(pairs), top)


def _best(values: FloatArray, top: int) -> set[int]:
    order = np.argsort(-values, kind="stable")[:top]
    return {int(place) for place in order if not np.isnan(values[place])}


def _correlation(one: FloatArray, two: FloatArray) -> float | None:
    if len(one) < FEWEST or np.ptp(one) == 0 or np.ptp(two) == 0:
        return None
    return float(np.corrcoef(one, two)[0, 1])
