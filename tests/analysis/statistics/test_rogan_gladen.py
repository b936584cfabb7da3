"""Rates set right for a judge's errors: by hand, against a simulation, and where they cannot be."""

import numpy as np
import pytest
from scipy import stats

from analysis.errors import InputError, WithheldError
from analysis.statistics import Calibration, rogan_gladen

JUDGE = Calibration(found=45, positives=50, spared=40, negatives=50)
"""Sensitivity 0.9, specificity 0.8."""


def test_the_rate_by_hand() -> None:
    # a true rate of 0.6 looks like 0.6 x 0.9 + 0.4 x 0.2 = 0.62
    found = rogan_gladen(62, 100, JUDGE)
    assert found.estimate == pytest.approx(0.6, abs=1e-12)
    assert found.n == 100


def test_the_interval_by_hand() -> None:
    # Lang and Reiczigel (2014) with z = 1.959964, step by step for 62 of 100
    z = float(stats.norm.ppf(0.975))
    apparent, se, sp = (62 + z * z / 2) / (100 + z * z), 46 / 52, 41 / 52
    rate = (apparent + sp - 1) / (se + sp - 1)
    variance = (
        apparent * (1 - apparent) / (100 + z * z) + rate**2 * se * (1 - se) / 52 + (1 - rate) ** 2 * sp * (1 - sp) / 52
    ) / (se + sp - 1) ** 2
    centre = rate + 2 * z * z * (rate * se * (1 - se) / 52 - (1 - rate) * sp * (1 - sp) / 52)
    found = rogan_gladen(62, 100, JUDGE)
    assert (found.low, found.high) == pytest.approx((centre - z * variance**0.5, centre + z * variance**0.5), abs=1e-9)


def test_a_judge_without_errors_changes_nothing_but_the_certainty() -> None:
    many = Calibration(10**7, 10**7, 10**7, 10**7)
    found = rogan_gladen(30, 100, many)
    assert found.estimate == pytest.approx(0.3)
    # what is left is Agresti and Coull's interval
    z = float(stats.norm.ppf(0.975))
    centre = (30 + z * z / 2) / (100 + z * z)
    half = z * (centre * (1 - centre) / (100 + z * z)) ** 0.5
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-5)


def test_rates_are_cut_to_what_rates_can_be() -> None:
    # 5 % look refused where a judge with 20 % false alarms would see 20 % of nothing
    nothing = rogan_gladen(5, 100, JUDGE)
    assert (nothing.estimate, nothing.low) == (0.0, 0.0)
    everything = rogan_gladen(99, 100, JUDGE)
    assert (everything.estimate, everything.high) == (1.0, 1.0)


def test_fewer_labels_make_it_less_certain() -> None:
    few = rogan_gladen(60, 100, Calibration(9, 10, 8, 10))
    many = rogan_gladen(60, 100, Calibration(900, 1000, 800, 1000))
    assert few.estimate == pytest.approx(many.estimate)
    assert few.high - few.low > many.high - many.low


@pytest.mark.parametrize("judge", [Calibration(5, 10, 5, 10), Calibration(1, 10, 2, 10), Calibration(0, 4, 4, 4)])
def test_a_judge_that_tells_nothing_is_not_corrected_for(judge: Calibration) -> None:
    with pytest.raises(WithheldError, match="add up to no more than 1"):
        rogan_gladen(5, 10, judge)


@pytest.mark.parametrize("judge", [Calibration(0, 0, 5, 10), Calibration(5, 10, 0, 0)])
def test_both_kinds_of_labels_are_needed(judge: Calibration) -> None:
    with pytest.raises(WithheldError, match="needs both kinds"):
        rogan_gladen(5, 10, judge)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(InputError, match="11 of 10 labelled positives"):
        Calibration(11, 10, 1, 1)
    with pytest.raises(InputError, match="6 hits of 5"):
        rogan_gladen(6, 5, JUDGE)


def test_no_answers_have_no_rate() -> None:
    assert rogan_gladen(0, 0, JUDGE).as_dict() == {"estimate": None, "low": None, "high": None, "n": 0}


def test_a_barely_informative_judge_leaves_everything_open() -> None:
    found = rogan_gladen(1, 2, Calibration(1, 1, 1, 9))
    assert (found.low, found.high) == (0.0, 1.0)


def test_about_19_of_20_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(600):
        rate = rng.uniform(0.05, 0.95)
        judge = Calibration(int(rng.binomial(60, 0.85)), 60, int(rng.binomial(60, 0.9)), 60)
        found = rogan_gladen(int(rng.binomial(200, rate * 0.85 + (1 - rate) * 0.1)), 200, judge)
        hits += found.low <= rate <= found.high
    assert 0.925 <= hits / 600 <= 0.985
