"""The moderated t: the classical t when the constant is known, and why the constant is there."""

import numpy as np
import pytest
from scipy import stats

from analysis.errors import WithheldError
from analysis.statistics import moderated_t


def test_one_column_by_hand_through_scipy() -> None:
    # with a single column s0 is its own standard error, so the score is half of the one-sample t
    differences = np.array([[0.5], [1.5], [1.0], [2.0]])
    assert moderated_t(differences)[0] == pytest.approx(stats.ttest_1samp(differences[:, 0], 0.0).statistic / 2)


def test_many_columns_share_the_median_error() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1, size=(25, 7))
    errors = stats.sem(differences, axis=0)
    expected = differences.mean(axis=0) / (errors + np.median(errors))
    assert moderated_t(differences) == pytest.approx(expected, rel=1e-12)


def test_a_tiny_but_constant_difference_does_not_win() -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal(0, 0.1, size=(20, 9))
    differences[:, 0] += 0.3  # a real shift
    differences[:, 1] = 1e-4 + 1e-7 * rng.normal(size=20)  # plain t of thousands
    scores = moderated_t(differences)
    assert stats.ttest_1samp(differences[:, 1], 0).statistic > 1000
    assert scores.argmax() == 0
    assert scores[1] < 0.01


def test_unobserved_pairs_are_left_out() -> None:
    differences = np.array([[1.0, 2.0, np.nan], [3.0, 4.0, np.nan], [np.nan, 9.0, 1.0], [2.0, 1.0, np.nan]])
    scores = moderated_t(differences)
    errors = [stats.sem([1, 3, 2]), stats.sem([2, 4, 9, 1])]
    assert scores[:2] == pytest.approx([2 / (errors[0] + np.mean(errors)), 4 / (errors[1] + np.mean(errors))])
    assert np.isnan(scores[2])


def test_columns_that_never_differ_score_zero() -> None:
    assert moderated_t(np.zeros((5, 3))).tolist() == [0.0, 0.0, 0.0]


def test_a_single_pair_is_withheld() -> None:
    with pytest.raises(WithheldError, match="at least two pairs, found 1"):
        moderated_t(np.ones((1, 4)))
