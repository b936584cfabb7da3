"""Rates and their changes, against statsmodels, textbook formulas and numbers worked by hand."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from analysis.errors import InputError
from analysis.statistics import clustered_rate, mcnemar_exact, paired_difference, wilson


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
    before = np.array([True] * 20)
    after = np.array([True, True, False, False] * 5)
    change = paired_difference(before, after, np.repeat(list("abcde"), 4).tolist(), seed=0)
    # every topic lost exactly half of its refusals, so every resample of topics says the same
    assert (change.estimate, change.low, change.high, change.n) == (-0.5, -0.5, -0.5, 5)


def test_a_paired_difference_stays_between_minus_one_and_one() -> None:
    before, after = np.ones(12, dtype=bool), np.zeros(12, dtype=bool)
    after[0] = True
    change = paired_difference(before, after, [i // 2 for i in range(12)], seed=0)
    assert change.low == -1.0


def test_no_change_in_any_answer_is_not_certainty() -> None:
    answers = np.ones(40, dtype=bool)
    change = paired_difference(answers, answers, [i // 5 for i in range(40)], seed=0)
    none_of_forty = wilson(0, 40).high
    assert change.as_dict() == {"estimate": 0.0, "low": -none_of_forty, "high": none_of_forty, "n": 8}
    assert paired_difference(answers, answers, [i // 20 for i in range(40)], seed=0).high is None, "two topics"


def test_every_answer_lost_is_not_certainty_either() -> None:
    lost = paired_difference(np.ones(40, dtype=bool), np.zeros(40, dtype=bool), [i // 5 for i in range(40)], seed=0)
    # all of 40 changed: Wilson's lower limit is n / (n + z²)
    assert (lost.estimate, lost.low, lost.n) == (-1.0, -1.0, 8)
    assert lost.high == pytest.approx(-40 / (40 + 1.959964**2), abs=1e-6)
    won = paired_difference(np.zeros(40, dtype=bool), np.ones(40, dtype=bool), [i // 5 for i in range(40)], seed=0)
    assert (won.low, won.high) == (-lost.high, 1.0)


def test_a_rate_over_topics_by_hand() -> None:
    # ten topics of four: five all hits, five none. Topic means 0 and 1 have variance 10/4/9, the mean's is a tenth of
    # it, 1/36; p(1-p) = 1/4 over it is 9 independent prompts, and (z / t9)^2 makes them 6.755
    hits = np.repeat([True, False] * 5, 4)
    worth = 9 * (1.959964 / 2.262157) ** 2
    low, high = proportion_confint(worth / 2, worth, method="wilson")
    found = clustered_rate(hits, np.repeat(np.arange(10), 4).tolist())
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)
    assert (found.estimate, found.n) == (0.5, 40)


def test_a_rate_over_topics_that_do_not_differ_is_wilsons() -> None:
    even = np.array([True, False] * 20)
    plain = wilson(20, 40)
    topics = np.repeat(np.arange(10), 4).tolist()
    assert clustered_rate(even, topics).as_dict() == pytest.approx(plain.as_dict())
    assert clustered_rate(np.ones(40, dtype=bool), topics).as_dict() == pytest.approx(wilson(40, 40).as_dict())


def test_a_rate_over_four_topics_has_no_limits() -> None:
    found = clustered_rate(np.array([True, False] * 8), np.repeat(list("abcd"), 4).tolist())
    assert found.as_dict() == {"estimate": 0.5, "low": None, "high": None, "n": 16}
    assert clustered_rate(np.array([], dtype=bool), []).as_dict() == wilson(0, 0).as_dict()


def test_wilson_is_scipys_to_the_last_bit() -> None:
    """Reports of earlier versions had scipy's, which also computes a test that nobody asked for."""
    for n in (1, 2, 7, 30, 61, 300, 4_001):
        for successes in {0, 1, n // 3, n // 2, n - 1, n}:
            limits = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
            found = wilson(successes, n)
            assert (found.low, found.high) == (limits.low, limits.high), (successes, n)
