"""Differences between unpaired groups, with topics as units."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.api import OLS
from statsmodels.stats.proportion import confint_proportions_2indep

from analysis.errors import InputError
from analysis.statistics import Interval, difference_of_intervals, difference_of_means, wilson


def test_by_hand() -> None:
    """Means 3 and 2. A cluster's pull is a fifth of its distance from the mean on the left, less that on the right."""
    left, right = (
        np.array([[1.0, 1.0], [2, 2], [3, 3], [4, 4], [5, 5]]),
        np.array([[0.0, 4.0], [1, 3], [2, 2], [3, 1], [4, 0]]),
    )
    found = difference_of_means(left, right, [*"abcde"], [*"abcde"])
    assert found.estimate.tolist() == [1, 1]
    assert (found.low[0], found.high[0]) == pytest.approx((1, 1)), "what topics share cancels"
    # second column: pulls -0.8, -0.4, 0, 0.4, 0.8, whose squares add up to 1.6; factors 5/4 and 9/8
    half = stats.t.ppf(0.975, 4) * np.sqrt(1.6 * 5 / 4 * 9 / 8)
    assert (found.low[1], found.high[1]) == pytest.approx((1 - half, 1 + half))
    assert found.n.tolist() == [5, 5]


def test_as_a_regression_on_the_group_with_clustered_errors() -> None:
    rng = np.random.default_rng(5)
    left, right = rng.normal(size=(17, 3)), rng.normal(size=(9, 3))
    topics = [rng.integers(0, 6, size=len(side)).tolist() for side in (left, right)]
    found = difference_of_means(left, right, *topics)
    group = np.array([[1.0, 1.0]] * len(left) + [[1.0, 0.0]] * len(right))
    clusters = np.array([*topics[0], *topics[1]])
    for column in range(3):
        values = np.concatenate([left, right])[:, column]
        fitted = OLS(values, group).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
        expected = (fitted.params[1], *fitted.conf_int()[1])
        reached = (found.estimate[column], found.low[column], found.high[column])
        assert reached == pytest.approx(expected, abs=1e-9)


def test_four_clusters_have_no_limits() -> None:
    found = difference_of_means(np.ones((4, 1)), np.zeros((2, 1)), [*"abcd"], [*"ab"])
    assert found.estimate.tolist() == [1]
    assert np.isnan([found.low[0], found.high[0]]).all()


@pytest.mark.parametrize("right", [np.ones((0, 2)), np.ones((2, 3))])
def test_groups_that_cannot_be_compared_are_refused(right: np.ndarray) -> None:
    with pytest.raises(InputError, match="expected rows in both, and equal columns"):
        difference_of_means(np.ones((2, 2)), right, ["a", "b"], ["a"] * len(right))


@pytest.mark.parametrize(
    ("one", "other"), [((56, 70), (48, 80)), ((9, 10), (3, 10)), ((10, 10), (0, 20)), ((0, 9), (0, 7))]
)
def test_of_two_wilson_intervals_it_is_newcombes(one: tuple[int, int], other: tuple[int, int]) -> None:
    """The first two are examples (a) and (b) of Newcombe 1998, table II."""
    found = difference_of_intervals(wilson(*one), wilson(*other))
    low, high = confint_proportions_2indep(*one, *other, method="newcomb", compare="diff")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.estimate == pytest.approx(one[0] / one[1] - other[0] / other[1])


def test_newcombes_published_example() -> None:
    """56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    found = difference_of_intervals(wilson(56, 70), wilson(48, 80))
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_symmetric_intervals_add_as_squares() -> None:
    found = difference_of_intervals(Interval(5.0, 2.0, 8.0, 9), Interval(1.0, -3.0, 5.0, 7))
    assert found == Interval(4.0, -1.0, 9.0, 7), "3 and 4 make 5"


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (Interval(None, None, None, 0), Interval(None, None, None, 0)),
        (Interval(3.0, None, None, 4), Interval(2.0, None, None, 4)),
    ],
)
def test_what_is_not_known_of_one_is_not_known_of_the_difference(one: Interval, expected: Interval) -> None:
    assert difference_of_intervals(one, Interval(1.0, 0.0, 2.0, 5)) == expected
