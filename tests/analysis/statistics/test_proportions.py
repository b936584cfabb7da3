"""Rates and their changes, against statsmodels, textbook formulas and numbers worked by hand."""

import math

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from analysis.errors import InputError
from analysis.statistics import mcnemar_exact, paired_difference, wilson, wilson_half_width


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 10), (93, 500), (1, 1)])
def test_wilson_agrees_with_statsmodels(successes: int, n: int) -> None:
    low, high = proportion_confint(successes, n, alpha=0.05, method="wilson")
    interval = wilson(successes, n)
    assert interval.estimate == successes / n
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert interval.n == n


def test_wilson_of_ten_refusals_in_ten_does_not_claim_certainty() -> None:
    # the lower limit for x = n has the closed form n / (n + z²)
    assert wilson(10, 10).low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-6)
    assert wilson(10, 10).high == pytest.approx(1.0)


def test_wilson_of_nothing_is_withheld() -> None:
    assert wilson(0, 0).as_dict() == {"estimate": None, "low": None, "high": None, "n": 0}


@pytest.mark.parametrize(("successes", "n"), [(-1, 4), (5, 4)])
def test_wilson_refuses_impossible_counts(successes: int, n: int) -> None:
    with pytest.raises(InputError, match="expected 0 <= successes <= n"):
        wilson(successes, n)


@pytest.mark.parametrize(("rate", "n"), [(0.5, 120), (0.0, 30), (0.9, 10)])
def test_half_width_is_half_of_the_wilson_interval(rate: float, n: int) -> None:
    interval = wilson(round(rate * n), n)
    assert interval.low is not None
    assert interval.high is not None
    assert wilson_half_width(rate, n) == pytest.approx((interval.high - interval.low) / 2, abs=1e-12)


def test_half_width_of_an_even_rate_by_hand() -> None:
    # p = 1/2 simplifies Wilson's half width to z / (2 √(n + z²))
    assert wilson_half_width(0.5, 100) == pytest.approx(1.959964 / (2 * math.sqrt(100 + 1.959964**2)), abs=1e-7)


@pytest.mark.parametrize(("rate", "n"), [(1.2, 10), (-0.1, 10), (0.5, 0)])
def test_half_width_refuses_what_is_no_rate(rate: float, n: int) -> None:
    with pytest.raises(InputError, match="expected a rate"):
        wilson_half_width(rate, n)


def test_mcnemar_agrees_with_statsmodels() -> None:
    before = np.array([1] * 30 + [1] * 12 + [0] * 3 + [0] * 15, dtype=bool)
    after = np.array([1] * 30 + [0] * 12 + [1] * 3 + [0] * 15, dtype=bool)
    expected = mcnemar([[30, 12], [3, 15]], exact=True).pvalue
    assert mcnemar_exact(before, after) == pytest.approx(expected, rel=1e-12)


def test_mcnemar_of_five_one_sided_changes_by_hand() -> None:
    before = np.array([True] * 5 + [False] * 4)
    after = np.zeros(9, dtype=bool)
    assert mcnemar_exact(before, after) == pytest.approx(2 * 0.5**5)


def test_mcnemar_without_any_change_is_one() -> None:
    answers = np.array([True, False, True])
    assert mcnemar_exact(answers, answers) == 1.0


def test_mcnemar_refuses_unpaired_answers() -> None:
    with pytest.raises(InputError, match="expected the same prompts"):
        mcnemar_exact(np.array([True]), np.array([True, False]))


def test_paired_difference_is_after_minus_before() -> None:
    before = np.array([True] * 8)
    after = np.array([True, True, False, False] * 2)
    change = paired_difference(before, after, ["a"] * 4 + ["b"] * 4, seed=0)
    # both topics lost exactly half of their refusals, so every resample of topics says the same
    assert (change.estimate, change.low, change.high, change.n) == (-0.5, -0.5, -0.5, 2)
