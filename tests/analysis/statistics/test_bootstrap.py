"""The cluster bootstrap: cases worked by hand, theory, a simulation, and what happens where data are missing."""

import time

import numpy as np
import pytest

from analysis.errors import InputError
from analysis.statistics import Interval, cluster_bootstrap, cluster_bootstrap_columns, ratio_of_means

RNG = np.random.default_rng(20)


def test_two_topics_that_disagree_span_the_whole_range() -> None:
    # resamples are aa, ab or bb with chances 1/4, 1/2, 1/4: means 0, 1/2, 1; the 2.5 % points are the extremes
    assert cluster_bootstrap(np.array([0.0, 0.0, 1.0, 1.0]), ["a", "a", "b", "b"], seed=0) == Interval(0.5, 0.0, 1.0, 2)


def test_topics_weigh_by_their_prompts() -> None:
    # drawing a twice gives 0, a and b (0 + 3) of 4, b twice 1
    interval = cluster_bootstrap(np.array([0.0, 1.0, 1.0, 1.0]), ["a", "b", "b", "b"], seed=0)
    assert interval == Interval(0.75, 0.0, 1.0, 2)


def test_identical_values_leave_no_width() -> None:
    assert cluster_bootstrap(np.full(6, 0.25), list("aabbcc"), seed=3) == Interval(0.25, 0.25, 0.25, 3)


def test_one_topic_carries_no_interval_unless_prompts_may_stand_in() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    assert cluster_bootstrap(values, ["a"] * 5, seed=0) == Interval(0.6, None, None, 1)
    allowed = cluster_bootstrap(values, ["a"] * 5, seed=0, rows_if_single=True)
    assert allowed == cluster_bootstrap(values, None, seed=0)
    assert allowed.n == 5
    assert allowed.low is not None
    assert allowed.low < 0.6


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
    # equal topics: the bootstrap variance of the mean is the (population) variance of topic means over the topics
    means = RNG.normal(size=40)
    interval = cluster_bootstrap(np.repeat(means, 5), np.repeat(np.arange(40), 5).tolist(), samples=4000, seed=4)
    assert width(interval) == pytest.approx(2 * 1.96 * means.std() / np.sqrt(40), rel=0.06)


def test_about_19_of_20_intervals_cover_the_truth() -> None:
    topics = np.repeat(np.arange(30), 4).tolist()
    hits = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        values = np.repeat(rng.normal(size=30), 4) + rng.normal(size=120)
        interval = cluster_bootstrap(values, topics, samples=400, seed=trial)
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= 0.0 <= interval.high
    # 95 % nominal, percentile intervals of 30 clusters lose a point or two; 3 standard errors of 200 trials are 4.6
    assert 0.89 <= hits / 200 <= 0.99


def test_every_expert_of_a_large_model_in_seconds() -> None:
    values = RNG.random((600, 6144), dtype=np.float32)
    began = time.process_time()
    intervals = cluster_bootstrap_columns(values, [i % 24 for i in range(600)], seed=0)
    assert time.process_time() - began < 5
    assert intervals.estimate == pytest.approx(values.mean(axis=0, dtype=np.float64))
    assert (intervals.low < intervals.estimate).all()
    assert (intervals.estimate < intervals.high).all()


def test_labels_must_fit_the_values() -> None:
    with pytest.raises(InputError, match="2 cluster labels for 3 values"):
        cluster_bootstrap(np.zeros(3), ["a", "b"], seed=0)
    with pytest.raises(InputError, match="use cluster_bootstrap_columns"):
        cluster_bootstrap(np.zeros((3, 2)), ["a", "b", "c"], seed=0)
    with pytest.raises(InputError, match="expected two dimensions"):
        cluster_bootstrap_columns(np.zeros(3), ["a", "b", "c"], seed=0)


def test_ratio_of_means_by_hand() -> None:
    # in both topics the numerator is a quarter of the denominator, so every resample of topics agrees
    ratio = ratio_of_means(
        np.array([1.0, 2.0, 2.0]), np.array([4.0, 8.0]), ["a", "b", "b"], ["a", "b"], samples=200, seed=0
    )
    assert ratio.estimate == pytest.approx((5 / 3) / 6)
    # aa: 1/4, bb: 2/8, ab: (5/3)/6
    assert (ratio.low, ratio.high, ratio.n) == (pytest.approx(0.25), pytest.approx((5 / 3) / 6), 2)


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


def test_ratio_of_a_single_topic_has_no_limits() -> None:
    assert ratio_of_means(np.ones(2), np.full(2, 2.0), ["a"] * 2, ["a"] * 2, seed=0) == Interval(0.5, None, None, 1)


def test_ratio_labels_must_fit_each_side() -> None:
    with pytest.raises(InputError, match="3 cluster labels for 2 values"):
        ratio_of_means(np.ones(2), np.ones(2), ["a", "b", "c"], ["a"], seed=0)
