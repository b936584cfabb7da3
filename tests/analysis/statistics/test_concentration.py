"""Concentration of an effect over experts, worked by hand."""

import numpy as np
import pytest

from analysis.statistics import gini, m80


def test_one_expert_carries_everything() -> None:
    effects = np.zeros((4, 16))
    effects[2, 5] = 3.0
    assert m80(effects) == 1
    assert gini(effects) == pytest.approx(63 / 64)


def test_an_even_effect_needs_four_fifths_of_the_experts() -> None:
    assert m80(np.full(10, 0.1)) == 8
    assert m80(np.full(7, 0.3)) == 6
    assert gini(np.full(10, 0.1)) == pytest.approx(0.0)


def test_a_mixed_case_by_hand() -> None:
    # 4 + 3 = 7 of 10 is short of 8, with 2 it is 9; Gini = Σ(2i − n − 1)·x_i / (n·Σx) = (−3·1 − 1·2 + 1·3 + 3·4) / 40
    assert m80(np.array([1.0, 4.0, 2.0, 3.0])) == 3
    assert gini(np.array([1.0, 4.0, 2.0, 3.0])) == pytest.approx(0.25)


def test_gini_agrees_with_the_mean_absolute_difference() -> None:
    effects = np.random.default_rng(0).exponential(size=50)
    gaps = np.abs(effects[:, None] - effects[None, :]).mean()
    assert gini(effects) == pytest.approx(gaps / (2 * effects.mean()))


def test_negative_effects_count_as_none_and_unmeasured_ones_not_at_all() -> None:
    assert m80(np.array([5.0, -9.0, np.nan, 0.5])) == 1
    assert gini(np.array([5.0, -9.0, np.nan])) == pytest.approx(0.5)  # one of two measured carries everything


def test_no_positive_effect_has_no_concentration() -> None:
    assert m80(np.array([-1.0, 0.0, np.nan])) is None
    assert gini(np.array([])) is None


def test_another_share() -> None:
    assert m80(np.array([5.0, 3.0, 2.0]), share=0.5) == 1
