"""The tests behind the causal rungs, on losses whose answer is known."""

import numpy as np
import pytest
from scipy import stats

from analysis.evidence.bench import Effects
from analysis.evidence.causal import causal_tests, excess_p, prompts_needed

TOPICS = [f"topic {i % 6}" for i in range(30)]


def effects(losses: np.ndarray) -> Effects:
    """A tenth of the margin is lost as refusal, nothing else changes."""
    still = np.zeros_like(losses)
    return Effects(
        margin=losses,
        refusal=losses / 10,
        harmful_outside=still,
        harmful_kl=np.abs(losses),
        over_refusal=still,
        benign_outside=still,
        benign_kl=still,
    )


def test_an_expert_within_its_null_is_not_found_however_many_prompts_there_are() -> None:
    # each expert costs a little of its own on every prompt: every one differs from the others' mean, none stands out
    rng = np.random.default_rng(0)
    losses = rng.normal(0, 1, size=(40, 1)) + rng.normal(0, 0.2, size=(40, 30))
    nulls = [np.delete(losses, i, axis=0) for i in range(40)]
    p = excess_p(losses, nulls, TOPICS, seed=0)
    expected = [
        stats.t(38).sf((row.mean() - null.mean()) / (null.mean(1).std(ddof=1) * (1 + 1 / 39) ** 0.5))
        for row, null in zip(losses, nulls, strict=True)
    ]
    above = np.array([row.mean() > null.mean() for row, null in zip(losses, nulls, strict=True)])
    assert (p[~above] == 1).all()
    assert (p[above] >= np.array(expected)[above] - 1e-12).all()
    assert (stats.false_discovery_control(p) > 0.05).all()


def test_an_expert_far_beyond_its_null_is_found_with_six_topics() -> None:
    rng = np.random.default_rng(1)
    losses = rng.normal(0, 0.3, size=(64, 30))
    losses[7] += 4
    nulls = [effects(np.delete(losses, i, axis=0)) for i in range(64)]
    found = causal_tests(effects(losses), nulls, TOPICS, seed=0)
    assert [i for i, test in enumerate(found) if test.causal] == [7]
    assert found[7].q_value <= 0.05
    assert found[7].p_value == 1 / 64, "63 others, none as large"
    assert found[7].refusal.n == 6


@pytest.mark.parametrize("null_sets", [0, 1])
def test_without_two_null_sets_nothing_is_significant(null_sets: int) -> None:
    losses = np.full((1, 30), 5.0) + np.random.default_rng(2).normal(size=(1, 30))
    assert excess_p(losses, [np.zeros((null_sets, 30))], TOPICS, seed=0).tolist() == [1.0]


def test_an_effect_of_one_topic_is_not_taken_for_one_of_all() -> None:
    rng = np.random.default_rng(3)
    losses = rng.normal(0, 0.05, size=(40, 30))
    losses[0, [topic == "topic 0" for topic in TOPICS]] += 6
    nulls = [np.delete(losses, i, axis=0) for i in range(40)]
    assert excess_p(losses, nulls, TOPICS, seed=0)[0] > 0.3


def test_the_fewest_prompts_with_which_a_corrected_test_can_pass() -> None:
    # 2 / 2^n must reach 0.05 / 64: n = 1 + log2(1280) = 11.3
    assert prompts_needed(64) == 12
    assert 2 / 2**12 <= 0.05 / 64 < 2 / 2**11
