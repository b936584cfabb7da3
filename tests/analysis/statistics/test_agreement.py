"""Agreement of rankings against scipy's own Spearman correlation, pair by pair."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from analysis.statistics import rank_agreement


def test_rho_is_spearmans_over_what_both_know() -> None:
    rng = np.random.default_rng(3)
    one, two, three = rng.normal(size=(3, 60)).round(1)
    two += one
    three[::4] = np.nan
    found = {(pair.one, pair.two): pair for pair in rank_agreement({"a": one, "b": two, "c": three}).pairs}
    assert found["a", "b"].rho == pytest.approx(spearmanr(one, two).statistic)
    known = ~np.isnan(three)
    assert found["b", "c"].rho == pytest.approx(spearmanr(two[known], three[known]).statistic)
    assert (found["a", "b"].n, found["a", "c"].n) == (60, 45)


def test_the_same_among_the_best_are_counted() -> None:
    one, two = np.array([9.0, 8, 7, 1, 0, np.nan]), np.array([9.0, 1, 8, 7, 0, 99])
    assert (
        rank_agreement({"a": one, "b": two}, top=3).pairs[0].common == 2
    )  # the 1st and 3rd; the last has no score in a


def test_the_median_is_over_pairs_that_have_a_rho() -> None:
    line, constant = np.arange(5.0), np.ones(5)
    agreement = rank_agreement({"a": line, "b": -line, "c": constant})
    assert [pair.rho for pair in agreement.pairs] == [pytest.approx(-1), None, None]
    assert agreement.median_rho == pytest.approx(-1)
    assert rank_agreement({"a": line[:2], "b": line[:2]}).median_rho is None, "two things agree by chance"
