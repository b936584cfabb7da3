"""The cluster bootstrap: a plain reckoning beside it, theory, and what happens where data are missing.

How often its intervals cover is in test_coverage.
"""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.stats.mstats import mquantiles

from analysis.errors import InputError
from analysis.statistics import (
    ClusterPairs,
    Interval,
    arrays,
    cluster_bootstrap,
    cluster_bootstrap_columns,
    ratio_of_means,
)
from analysis.statistics.arrays import row_clusters
from analysis.statistics.cluster_means import ClusterMeans

RNG = np.random.default_rng(20)


def draws(topics: int, samples: int, seed: int) -> list[list[int]]:
    """The resamples as lists of topics, from the same stream of random numbers."""
    counts = np.random.default_rng(seed).multinomial(topics, np.full(topics, 1 / topics), size=samples)
    return [[topic for topic in range(topics) for _ in range(row[topic])] for row in counts]


def studentised(estimate: float, error: float, variance: float, resamples: list[tuple[float, float]], topics: int):
    """Limits from (value, variance) of each resample, in plain Python and with a quantile from scipy."""
    t = [(value - estimate) / math.sqrt(0.94 * own + 0.06 * variance) for value, own in resamples]
    low, high = mquantiles(t, [0.025, 0.975], alphap=1, betap=1)
    factor = topics / (topics - 1)
    return estimate - factor * error * high, estimate - factor * error * low


def spread(groups: list[list[float]]) -> tuple[float, float]:
    """Mean over all values, and its cluster-robust variance with the G / (G - 1) correction."""
    flat = [value for group in groups for value in group]
    mean = sum(flat) / len(flat)
    squares = sum(sum(value - mean for value in group) ** 2 for group in groups)
    return mean, squares / len(flat) ** 2 * len(groups) / (len(groups) - 1)


def test_agrees_with_a_plain_reckoning_resample_by_resample() -> None:
    groups = [RNG.exponential(size=size).tolist() for size in (3, 7, 1, 5, 4, 2)]
    values = np.array([value for group in groups for value in group])
    labels = [i for i, group in enumerate(groups) for _ in group]
    mean, variance = spread(groups)
    # CR2: each topic's residual sum over the root of what is not its share
    error = math.sqrt(
        sum(sum(v - mean for v in g) ** 2 / (1 - len(g) / len(values)) for g in groups) / len(values) ** 2
    )
    resamples = [spread([groups[topic] for topic in drawn]) for drawn in draws(6, 300, 9)]
    low, high = studentised(mean, error, variance, resamples, 6)
    found = cluster_bootstrap(values, labels, samples=300, seed=9)
    assert (found.estimate, found.low, found.high) == pytest.approx((mean, low, high), abs=1e-9)


def test_topics_weigh_by_their_prompts() -> None:
    values, labels = np.array([0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), list("abbbcdef")
    assert cluster_bootstrap(values, labels, seed=0).estimate == 3 / 8


def test_topics_of_one_size_have_the_usual_standard_error() -> None:
    means = RNG.normal(size=8)
    resampled = ClusterMeans.of(np.repeat(means, 3)[:, None], row_clusters(24, np.repeat(np.arange(8), 3).tolist()))
    assert resampled.resampled(np.ones((1, 8))).error[0] == pytest.approx(stats.sem(means))


def test_identical_values_leave_no_width() -> None:
    assert cluster_bootstrap(np.full(10, 0.1), list("aabbccddee"), seed=3).as_dict() == pytest.approx(
        {"estimate": 0.1, "low": 0.1, "high": 0.1, "n": 5}
    )


def test_fewer_than_five_topics_carry_no_interval_unless_prompts_may_stand_in() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    for labels, topics in ((["a"] * 5, 1), (list("aabcd"), 4)):
        assert cluster_bootstrap(values, labels, seed=0) == Interval(0.6, None, None, topics)
        allowed = cluster_bootstrap(values, labels, seed=0, rows_if_few=True)
        assert allowed == cluster_bootstrap(values, None, seed=0)
        assert allowed.n == 5
        assert allowed.low is not None
        assert allowed.low < 0.6
    assert cluster_bootstrap(values, list("abcde"), seed=0).low is not None


def test_four_prompts_do_not_stand_in_for_topics() -> None:
    assert cluster_bootstrap(np.array([0.0, 1.0, 1.0, 0.0]), ["a"] * 4, seed=0, rows_if_few=True).low is None


def test_limits_stay_where_the_mean_can_be() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.9])
    free = cluster_bootstrap(values, list("abcdef"), seed=0)
    held = cluster_bootstrap(values, list("abcdef"), seed=0, bounds=(0.0, 1.0))
    assert free.low is not None
    assert free.low < 0
    assert held.low == 0


def test_prompts_of_one_topic_are_not_taken_for_independent_ones() -> None:
    topics = np.repeat(np.arange(12), 20)
    values = RNG.normal(size=12)[topics] + 0.05 * RNG.normal(size=240)
    clustered = cluster_bootstrap(values, topics.tolist(), seed=1)
    naive = cluster_bootstrap(values, None, seed=1)
    assert width(clustered) > 3 * width(naive)


def width(interval: Interval) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return interval.high - interval.low


def test_unobserved_values_count_nowhere() -> None:
    values = np.array([1.0, np.nan, 3.0, np.nan])
    assert cluster_bootstrap(values, ["a", "a", "b", "c"], seed=0).estimate == 2.0
    assert cluster_bootstrap(values, ["a", "a", "b", "c"], seed=0).n == 2


def test_nothing_observed_gives_nothing() -> None:
    assert cluster_bootstrap(np.array([]), [], seed=0) == Interval(None, None, None, 0)
    assert cluster_bootstrap(np.array([np.nan, np.nan]), ["a", "b"], seed=0) == Interval(None, None, None, 0)


def test_same_seed_same_interval() -> None:
    values, topics = RNG.random(60), [i % 10 for i in range(60)]
    assert cluster_bootstrap(values, topics, seed=5) == cluster_bootstrap(values, topics, seed=5)
    assert cluster_bootstrap(values, topics, seed=5) != cluster_bootstrap(values, topics, seed=6)


def test_each_column_gets_the_interval_it_would_get_alone() -> None:
    values = RNG.random((40, 3))
    values[::7, 1] = np.nan
    topics = [i % 8 for i in range(40)]
    together = cluster_bootstrap_columns(values, topics, seed=2)
    assert len(together) == 3
    for column in range(3):
        alone = cluster_bootstrap(values[:, column], topics, seed=2)
        assert together.at(column).as_dict() == pytest.approx(alone.as_dict(), abs=1e-12)


def test_width_agrees_with_the_standard_error_of_topic_means() -> None:
    # many equal topics without skew: nearly the t interval of the topics' means
    means = np.sort(RNG.normal(size=60))
    means -= means[::-1]
    interval = cluster_bootstrap(np.repeat(means, 5), np.repeat(np.arange(60), 5).tolist(), samples=4000, seed=4)
    assert width(interval) == pytest.approx(2 * stats.t.ppf(0.975, 59) * stats.sem(means), rel=0.06)


def test_many_columns_worked_through_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values, topics = RNG.random((60, 50)), [i % 6 for i in range(60)]
    whole = cluster_bootstrap_columns(values, topics, samples=100, seed=0)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 8 * 600 * 7)
    parts = cluster_bootstrap_columns(values, topics, samples=100, seed=0)
    np.testing.assert_allclose([parts.low, parts.high], [whole.low, whole.high], rtol=1e-12)


def test_labels_must_fit_the_values() -> None:
    with pytest.raises(InputError, match="2 cluster labels for 3 values"):
        cluster_bootstrap(np.zeros(3), ["a", "b"], seed=0)
    with pytest.raises(InputError, match="use cluster_bootstrap_columns"):
        cluster_bootstrap(np.zeros((3, 2)), ["a", "b", "c"], seed=0)
    with pytest.raises(InputError, match="expected two dimensions"):
        cluster_bootstrap_columns(np.zeros(3), ["a", "b", "c"], seed=0)


def test_ratio_agrees_with_a_plain_reckoning_resample_by_resample() -> None:
    top, bottom = (
        [RNG.exponential(size=size).tolist() for size in sizes] for sizes in ((2, 3, 1, 4, 2), (1, 2, 3, 2, 2))
    )

    def log_ratio(drawn: list[int]) -> tuple[float, list[float]]:
        """log of the ratio, and what each drawn topic adds to its error."""
        sides = [[side[topic] for topic in drawn] for side in (top, bottom)]
        means = [sum(map(sum, side)) / sum(map(len, side)) for side in sides]
        parts = [
            [(sum(group) - mean * len(group)) / sum(map(len, side)) / mean for group in side]
            for side, mean in zip(sides, means, strict=True)
        ]
        return math.log(means[0] / means[1]), [a - b for a, b in zip(*parts, strict=True)]

    estimate, influence = log_ratio([0, 1, 2, 3, 4])
    share = [(len(a) / 12 + len(b) / 10) / 2 for a, b in zip(top, bottom, strict=True)]
    error = math.sqrt(sum(one**2 / (1 - part) for one, part in zip(influence, share, strict=True)))
    resamples = []
    for drawn in draws(5, 200, 4):
        value, adds = log_ratio(drawn)
        resamples.append((value, sum(one**2 for one in adds) * 5 / 4))
    low, high = studentised(estimate, error, sum(one**2 for one in influence) * 5 / 4, resamples, 5)
    (above, above_topics), (below, below_topics) = flat(top), flat(bottom)
    found = ratio_of_means(above, below, above_topics, below_topics, samples=200, seed=4)
    expected = [math.exp(value) for value in (estimate, low, high)]
    assert [found.estimate, found.low, found.high] == pytest.approx(expected, abs=1e-9)


def flat(groups: list[list[float]]) -> tuple[np.ndarray, list[int]]:
    return np.concatenate(groups), [i for i, group in enumerate(groups) for _ in group]


def test_values_between_topics_agree_with_a_plain_reckoning() -> None:
    ends = [(a, b) for a in range(5) for b in range(a + 1, 5) for _ in range(1 + (a + b) % 3)]
    values = RNG.exponential(size=len(ends))

    def drawn_mean(drawn: list[int]) -> tuple[float, list[float]]:
        copies = [(value, i, j) for value, (a, b) in zip(values, ends, strict=True)
                  for i, x in enumerate(drawn) for j, y in enumerate(drawn) if (x, y) == (a, b)]  # fmt: skip
        mean = sum(value for value, _, _ in copies) / len(copies)
        touching = [sum(value - mean for value, i, j in copies if place in (i, j)) for place in range(5)]
        return mean, [one / len(copies) for one in touching]

    mean, influence = drawn_mean([0, 1, 2, 3, 4])
    share = [sum(place in pair for pair in ends) / (2 * len(ends)) for place in range(5)]
    error = math.sqrt(sum(one**2 / (1 - part) for one, part in zip(influence, share, strict=True)))
    resamples = []
    for drawn in draws(5, 100, 6):
        value, adds = drawn_mean(drawn)
        resamples.append((value, sum(one**2 for one in adds) * 5 / 4))
    low, high = studentised(mean, error, sum(one**2 for one in influence) * 5 / 4, resamples, 5)
    pairs = ClusterPairs([a for a, _ in ends], [b for _, b in ends])
    found = cluster_bootstrap(values, pairs, samples=100, seed=6)
    assert (found.estimate, found.low, found.high, found.n) == pytest.approx((mean, low, high, 5), abs=1e-9)


def test_a_value_lies_between_two_different_topics() -> None:
    with pytest.raises(InputError, match="between a cluster and itself"):
        cluster_bootstrap(np.ones(2), ClusterPairs(["a", "b"], ["b", "b"]), seed=0)


def test_values_between_no_topics_give_nothing() -> None:
    assert cluster_bootstrap(np.array([]), ClusterPairs([], []), seed=0) == Interval(None, None, None, 0)


def test_ratio_draws_topics_for_both_sides_together() -> None:
    # both sides move with the topic, so their ratio hardly does; drawn apart it would be far wider
    level = np.exp(RNG.normal(size=16))
    topics = np.repeat(np.arange(16), 4).tolist()
    top, bottom = np.repeat(0.3 * level, 4), np.repeat(level, 4)
    assert width(ratio_of_means(top, bottom, topics, topics, seed=0)) < 1e-9
    apart = ratio_of_means(top, bottom, topics, [f"other-{t}" for t in topics], seed=0)
    assert width(apart) > 0.1


def test_ratio_without_a_denominator_is_withheld() -> None:
    assert ratio_of_means(np.ones(2), np.zeros(2), ["a", "b"], ["a", "b"], seed=0) == Interval(None, None, None, 2)
    assert ratio_of_means(np.ones(2), np.array([]), ["a", "b"], [], seed=0).estimate is None


def test_ratio_of_four_topics_has_no_limits() -> None:
    topics = list("abcd")
    assert ratio_of_means(np.ones(4), np.full(4, 2.0), topics, topics, seed=0) == Interval(0.5, None, None, 4)


def test_ratio_that_is_zero_has_no_limits() -> None:
    topics = list("abcdef")
    assert ratio_of_means(np.zeros(6), np.ones(6), topics, topics, seed=0) == Interval(0.0, None, None, 6)


def test_ratio_labels_must_fit_each_side() -> None:
    with pytest.raises(InputError, match="3 cluster labels for 2 values"):
        ratio_of_means(np.ones(2), np.ones(2), ["a", "b", "c"], ["a"], seed=0)
