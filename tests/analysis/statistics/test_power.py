"""How many prompts an answer needs: against the intervals themselves, textbook sizes and simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint, samplesize_confint_proportion

from analysis.errors import InputError, WithheldError
from analysis.statistics import (
    Topics,
    design_effect,
    difference_half_width,
    prompts_for_difference,
    prompts_for_rate,
    rate_half_width,
    topics_for_rate,
)


@pytest.mark.parametrize(("hits", "n"), [(60, 120), (0, 30), (9, 10), (1, 1)])
def test_half_width_of_a_rate_is_half_of_the_wilson_interval(hits: int, n: int) -> None:
    low, high = proportion_confint(hits, n, method="wilson")
    assert rate_half_width(hits / n, n) == pytest.approx((high - low) / 2, abs=1e-12)


def test_half_width_of_an_even_rate_by_hand() -> None:
    # p = 1/2 simplifies Wilson's half width to z / (2 √(n + z²))
    assert rate_half_width(0.5, 100) == pytest.approx(1.959964 / (2 * math.sqrt(100 + 1.959964**2)), abs=1e-7)


@pytest.mark.parametrize(("half", "rate"), [(0.04, 0.72), (0.1, 0.5), (0.03, 0.95), (0.02, 0.0)])
def test_prompts_for_a_rate_are_the_fewest_that_do(half: float, rate: float) -> None:
    n = prompts_for_rate(half, rate)
    assert rate_half_width(rate, n) <= half < rate_half_width(rate, n - 1)


def test_prompts_for_a_rate_are_about_the_textbooks() -> None:
    # the normal approximation asks for 484.04 prompts for 72 % ± 4 points
    assert prompts_for_rate(0.04, 0.72) == pytest.approx(samplesize_confint_proportion(0.72, 0.04), rel=0.01)


def test_design_effect_by_hand() -> None:
    assert design_effect(10, 0.05) == pytest.approx(1.45)
    assert design_effect(1, 0.9) == 1.0
    assert design_effect(0.5, 0.9) == 1.0


def test_topics_make_prompts_count_for_less_by_hand() -> None:
    # 27 topics of 10 at ICC 0.1: 270 / 1.9 prompts' worth, and (z / t26)^2 of that
    worth = 270 / 1.9 * (1.959964 / stats.t.ppf(0.975, 26)) ** 2
    low, high = proportion_confint(worth / 2, worth, method="wilson")
    assert rate_half_width(0.5, 270, Topics(27, 0.1)) == pytest.approx((high - low) / 2, abs=1e-7)


def test_prompts_with_topics_are_the_fewest_that_do() -> None:
    topics = Topics(27, 0.05)
    n = prompts_for_rate(0.08, 0.5, topics)
    assert rate_half_width(0.5, n, topics) <= 0.08 < rate_half_width(0.5, n - 1, topics)
    assert n > prompts_for_rate(0.08, 0.5)


def test_more_prompts_of_the_same_few_topics_do_not_help_for_ever() -> None:
    with pytest.raises(WithheldError, match=r"6 topics with an ICC of 0\.2 cannot give ± 5 points: take more topics"):
        prompts_for_rate(0.05, 0.5, Topics(6, 0.2))


def test_topics_for_a_rate_are_the_fewest_that_do() -> None:
    count = topics_for_rate(0.06, 10, 0.05)
    assert rate_half_width(0.5, 10 * count, Topics(count, 0.05)) <= 0.06
    assert rate_half_width(0.5, 10 * (count - 1), Topics(count - 1, 0.05)) > 0.06
    assert topics_for_rate(0.4, 20, 0.0) == 5, "no interval below five"


def test_half_width_of_a_paired_difference_by_hand() -> None:
    # 30 % changed, all the same way: variance 0.3 − 0.09 = 0.21; z √(0.21 / 100)
    assert difference_half_width(0.3, -0.3, 100) == pytest.approx(1.959964 * math.sqrt(0.21 / 100), abs=1e-7)
    assert prompts_for_difference(1.959964 * math.sqrt(0.21 / 100) + 1e-9, 0.3, -0.3) == 100


def test_half_width_of_a_paired_difference_is_what_samples_show() -> None:
    rng = np.random.default_rng(0)
    changes = rng.choice([-1.0, 0.0, 1.0], p=[0.25, 0.7, 0.05], size=(4000, 150)).mean(axis=1)
    assert difference_half_width(0.3, -0.2, 150) == pytest.approx(1.96 * changes.std(), rel=0.04)


def test_fewer_topics_than_an_interval_needs_are_withheld() -> None:
    with pytest.raises(WithheldError, match="4 topics: an interval over topics needs at least 5"):
        Topics(4, 0.1)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda: rate_half_width(1.2, 10), "expected a rate"),
        (lambda: rate_half_width(0.5, 0), "expected a rate"),
        (lambda: prompts_for_rate(0.0), "expected a share between 0 and 0.5"),
        (lambda: prompts_for_rate(0.5), "expected a share between 0 and 0.5"),
        (lambda: prompts_for_rate(0.1, -0.2), "expected a share between 0 and 1"),
        (lambda: prompts_for_difference(0.1, 0.2, 0.3), r"\|difference\| <= changed"),
        (lambda: difference_half_width(0.2, 0.1, 0), "expected at least one"),
        (lambda: topics_for_rate(0.1, 0, 0.1), "at least one prompt"),
        (lambda: Topics(10, 1.5), "expected a share between 0 and 1"),
    ],
)
def test_refuses_what_cannot_be(work, message: str) -> None:
    with pytest.raises(InputError, match=message):
        work()


def test_what_no_number_of_prompts_can_give_is_withheld() -> None:
    with pytest.raises(WithheldError, match="10,000,000 prompts cannot give"):
        prompts_for_rate(1e-5)
