"""Stability selection on frequencies whose winners are known."""

import numpy as np
import pytest
from scipy import stats

from analysis.errors import InputError, WithheldError
from analysis.statistics import false_selection_bound, stability_selection


def frequencies() -> np.ndarray:
    """[40 prompts, 2 layers, 5 experts]: layer 0 led by expert 2, layer 1 by experts 0 and 4, noise elsewhere."""
    values = np.random.default_rng(0).random((40, 2, 5)) * 0.2
    values[:, 0, 2] += 0.5
    values[:, 1, [0, 4]] += 0.5
    return values


@pytest.mark.parametrize("method", ["half", "bootstrap"])
def test_experts_that_always_lead_are_always_selected(method: str) -> None:
    share = stability_selection(frequencies(), 2, seed=0, method=method)  # type: ignore[arg-type]
    assert share[0, 2] == 1.0
    assert share[1].tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert share.sum(axis=1) == pytest.approx([2.0, 2.0])


def test_interchangeable_experts_share_the_place() -> None:
    values = np.random.default_rng(4).random((200, 1, 4))
    values -= values.mean(axis=0)  # equal means over all prompts: only the resample decides
    share = stability_selection(values, 1, samples=400, seed=1)
    assert share[0] == pytest.approx([0.25] * 4, abs=0.1)


def test_an_expert_of_one_topic_is_unstable_when_topics_are_resampled() -> None:
    # expert 1 leads through topic "a" alone; a half-sample of the four topics has it half of the time
    values = np.zeros((40, 1, 2))
    values[:, 0, 0] = 0.17
    values[:10, 0, 1] = 1.0
    topics = np.repeat(["a", "b", "c", "d"], 10).tolist()
    by_topic = stability_selection(values, 1, samples=600, seed=0, clusters=topics)
    by_prompt = stability_selection(values, 1, samples=600, seed=0)
    assert by_topic[0, 1] == pytest.approx(0.5, abs=0.07)
    # by prompts it needs 4 of topic a's 10 among the 20 drawn of 40
    assert by_prompt[0, 1] == pytest.approx(stats.hypergeom(40, 10, 20).sf(3), abs=0.05)


def test_equal_means_go_to_the_lower_index() -> None:
    assert stability_selection(np.ones((6, 1, 3)), 1, seed=0)[0].tolist() == [1.0, 0.0, 0.0]


def test_unobserved_prompts_do_not_count_as_zero() -> None:
    values = np.full((20, 1, 2), 0.4)
    values[:, 0, 1] = np.where(np.arange(20) % 4 == 0, 0.6, np.nan)
    assert stability_selection(values, 1, seed=0)[0, 1] > 0.95


def test_same_seed_same_shares() -> None:
    values = np.random.default_rng(2).random((30, 2, 6))
    assert (stability_selection(values, 2, seed=7) == stability_selection(values, 2, seed=7)).all()


def test_refuses_what_cannot_be_selected() -> None:
    with pytest.raises(InputError, match="top 6 of frequencies"):
        stability_selection(frequencies(), 6, seed=0)
    with pytest.raises(WithheldError, match="found 1"):
        stability_selection(frequencies(), 2, seed=0, clusters=["a"] * 40)


def test_bound_by_hand() -> None:
    # 50 of 1,000 selected, threshold 0.9: 2500 / (0.8 · 1000)
    assert false_selection_bound(50, 1000, 0.9) == pytest.approx(3.125)
    with pytest.raises(InputError, match=r"expected 0\.5 < threshold"):
        false_selection_bound(50, 1000, 0.5)
