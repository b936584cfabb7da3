"""Sign flips against full enumeration, scipy and simulation; Benjamini-Hochberg against statsmodels."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.errors import InputError
from analysis.statistics import (
    arrays,
    benjamini_hochberg,
    cluster_t_test,
    empirical_p,
    paired_test,
    predictive_p,
    sign_flip_test,
)


def test_agrees_with_all_flips_enumerated() -> None:
    differences = np.array([0.9, 0.4, -0.2, 0.7, 0.1, 0.5, -0.3, 0.8])
    signs = np.array(list(product([-1, 1], repeat=8)))
    exact = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12).mean()
    p = sign_flip_test(differences[:, None], None, flips=20_000, seed=0)[0]
    assert p == pytest.approx(exact, abs=0.008)


def test_agrees_with_scipys_paired_permutation() -> None:
    before, after = np.random.default_rng(1).normal(size=(2, 30))
    after += 0.4
    expected = stats.permutation_test(
        (after, before), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=9999, rng=2
    ).pvalue
    assert sign_flip_test((after - before)[:, None], None, flips=9999, seed=3)[0] == pytest.approx(expected, abs=0.015)


def test_the_smallest_p_is_one_over_one_more_than_the_flips() -> None:
    # 60 equal differences: a random flip never reaches the observed mean
    assert sign_flip_test(np.ones((60, 1)), None, flips=999, seed=0)[0] == 1 / 1000


def test_no_difference_at_all_is_p_one() -> None:
    assert sign_flip_test(np.zeros((10, 2)), None, flips=99, seed=0).tolist() == [1.0, 1.0]


def test_ties_with_the_observed_mean_count_in_spite_of_rounding() -> None:
    # two pairs: half of all flips give +-0.3 in some order of summation, all of them at least as far as observed
    p = sign_flip_test(np.array([[0.1], [0.1], [0.1]]), None, flips=4000, seed=0)[0]
    assert p == pytest.approx(2 / 8, abs=0.03)


def test_p_values_are_uniform_without_an_effect() -> None:
    noise = np.random.default_rng(5).normal(size=(48, 3000))
    p = sign_flip_test(noise, [i % 8 for i in range(48)], flips=500, seed=0)
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.015)
    assert np.median(p) == pytest.approx(0.5, abs=0.04)


def test_a_large_topic_has_no_more_say_than_a_small_one() -> None:
    # topic means +1 (30 pairs) and -1 (2 pairs) cancel; the plain mean would be +0.875
    differences = np.concatenate([np.ones(30), -np.ones(2)])[:, None]
    topics = ["a"] * 30 + ["b"] * 2
    assert sign_flip_test(differences, topics, flips=400, seed=0)[0] == 1.0
    assert sign_flip_test(differences, None, flips=400, seed=0)[0] < 0.01


def test_whole_topics_cannot_reach_below_their_number_of_flips() -> None:
    topics = np.repeat(np.arange(4), 10).tolist()
    p = sign_flip_test(np.ones((40, 1)), topics, flips=4000, seed=0, unit="cluster")[0]
    assert p == pytest.approx(2**-3, abs=0.02)


def test_whole_topics_keep_their_level_when_pairs_move_together() -> None:
    rng = np.random.default_rng(8)
    topics = np.repeat(np.arange(12), 10)
    shared = rng.normal(size=(12, 800))[topics]
    by_cluster = sign_flip_test(shared, topics.tolist(), flips=500, seed=0, unit="cluster")
    by_pair = sign_flip_test(shared, topics.tolist(), flips=500, seed=0)
    assert (by_cluster <= 0.05).mean() == pytest.approx(0.05, abs=0.025)
    assert (by_pair <= 0.05).mean() > 0.3  # why the choice of unit exists


def test_unobserved_pairs_count_nowhere() -> None:
    differences = np.array([[1.0, np.nan], [1.0, np.nan], [np.nan, np.nan], [1.0, np.nan]])
    alone = sign_flip_test(np.array([[1.0], [1.0], [0.0], [1.0]]), None, flips=300, seed=0)
    p = sign_flip_test(differences, None, flips=300, seed=0)
    assert p[0] == alone[0]
    assert np.isnan(p[1])


def test_blocks_of_columns_give_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(9).normal(0.2, 1, size=(20, 50))
    whole = sign_flip_test(differences, None, flips=200, seed=1)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 8 * 200 * 3)
    assert sign_flip_test(differences, None, flips=200, seed=1).tolist() == whole.tolist()


def test_differences_need_two_dimensions() -> None:
    with pytest.raises(InputError, match=r"differences have shape \(4,\)"):
        sign_flip_test(np.zeros(4), None, seed=0)


def test_empirical_p_counts_ties_and_itself() -> None:
    assert empirical_p(3.0, np.array([1.0, 2.0, 3.0, 4.0])) == (1 + 2) / 5
    assert empirical_p(9.0, np.arange(4.0)) == 1 / 5
    assert empirical_p(0.0, np.array([])) == 1.0


def test_benjamini_hochberg_agrees_with_statsmodels() -> None:
    p = np.random.default_rng(3).random(200) ** 3
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1], rel=1e-12)


def test_benjamini_hochberg_by_hand() -> None:
    # sorted p·n/rank: .01·4/1, .02·4/2, .03·4/3, .5·4/4; running minimum from the end
    assert benjamini_hochberg(np.array([0.01, 0.5, 0.03, 0.02])) == pytest.approx([0.04, 0.5, 0.04, 0.04])


def test_benjamini_hochberg_leaves_unknown_entries_out_of_the_count() -> None:
    q = benjamini_hochberg(np.array([[0.01, np.nan], [0.02, np.nan]]))
    assert q.shape == (2, 2)
    assert q[:, 0] == pytest.approx([0.02, 0.02])
    assert np.isnan(q[:, 1]).all()
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


def test_rare_columns_are_flipped_on_until_their_p_is_fine_enough() -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal(size=(30, 3)) + np.array([0.0, 3.0, 0.1])
    coarse = sign_flip_test(differences, None, flips=500, seed=0)
    fine = sign_flip_test(differences, None, flips=500, most_flips=20_000, seed=0)
    assert coarse[1] == 1 / 501
    assert fine[1] == 1 / 20_001
    assert fine[[0, 2]].tolist() == coarse[[0, 2]].tolist(), "the others are not flipped again"


def test_p_of_rare_columns_agrees_with_all_flips_enumerated() -> None:
    # 12 equal differences: only the 2 flips of 2^12 that keep all signs alike reach the mean
    p = sign_flip_test(np.ones((12, 1)), None, flips=1000, most_flips=40_000, seed=0)[0]
    assert p == pytest.approx(2 / 2**12, abs=2e-4)


def test_topics_are_tested_by_their_means() -> None:
    rng = np.random.default_rng(3)
    topics = [0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 4]
    differences = rng.normal(0.5, 1, size=(11, 4))
    means = [differences[[t == topic for t in topics]].mean(axis=0) for topic in range(5)]
    expected = stats.ttest_1samp(np.array(means), 0.0).pvalue
    assert cluster_t_test(differences, topics) == pytest.approx(expected, abs=1e-12)


def test_topics_without_an_observation_are_left_out() -> None:
    differences = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 1.0], [2.5, np.nan], [0.0, 0.0]])
    p = cluster_t_test(differences[:4], list("abcd"))
    assert p[0] == pytest.approx(stats.ttest_1samp([1.0, 3.0, 2.5], 0.0).pvalue)
    assert np.isnan(p[1])
    assert cluster_t_test(np.zeros((3, 1)), list("abc")).tolist() == [1.0]
    assert cluster_t_test(np.ones((3, 1)), list("abc")).tolist() == [0.0]


def test_the_paired_test_asks_for_both() -> None:
    rng = np.random.default_rng(4)
    topics = np.repeat(np.arange(6), 8).tolist()
    differences = rng.normal(0.3, 1, size=(48, 200))
    flips = sign_flip_test(differences, topics, seed=7)
    assert paired_test(differences, topics, seed=7) == pytest.approx(
        np.maximum(flips, cluster_t_test(differences, topics))
    )


def test_with_too_few_topics_the_paired_test_speaks_of_these_topics() -> None:
    differences = np.random.default_rng(5).normal(1, 1, size=(24, 3))
    topics = [i % 4 for i in range(24)]
    assert (paired_test(differences, topics, seed=1) == sign_flip_test(differences, topics, seed=1)).all()
    assert (paired_test(differences, None, seed=1) == sign_flip_test(differences, None, seed=1)).all()


def test_topics_that_move_together_are_not_taken_for_an_effect() -> None:
    rng = np.random.default_rng(8)
    topics = np.repeat(np.arange(12), 10)
    shared = rng.normal(size=(12, 800))[topics]
    p = paired_test(shared, topics.tolist(), flips=500, seed=0)
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.025)


def test_the_next_of_a_normal_null() -> None:
    null = np.array([1.0, 2.0, 3.0, 4.0])
    # mean 2.5, sd 1.2910, times the root of 5/4 is 1.4434
    assert predictive_p(6.0, null) == pytest.approx(stats.t(3).sf(3.5 / 1.443376), abs=1e-6)
    assert predictive_p(2.5, null) == pytest.approx(0.5)


def test_p_of_the_next_is_uniform_when_it_is_one_of_the_null() -> None:
    rng = np.random.default_rng(6)
    p = [predictive_p(float(row[0]), row[1:]) for row in rng.normal(3, 2, size=(3000, 8))]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.013)


def test_a_null_without_spread_says_all_or_nothing() -> None:
    assert predictive_p(1.0, np.zeros(5)) == 0.0
    assert predictive_p(0.0, np.zeros(5)) == 1.0
    assert predictive_p(9.0, np.array([1.0])) == 1.0
    assert predictive_p(9.0, np.array([])) == 1.0


def test_empirical_p_is_exact_over_every_order() -> None:
    # of n + 1 exchangeable values each is equally likely to be the observed one: P(p <= j / (n + 1)) is j / (n + 1)
    for size in (1, 4, 19):
        values = np.random.default_rng(size).normal(size=size + 1)
        p = sorted(empirical_p(float(values[i]), np.delete(values, i)) for i in range(size + 1))
        assert p == pytest.approx([(j + 1) / (size + 1) for j in range(size + 1)])
