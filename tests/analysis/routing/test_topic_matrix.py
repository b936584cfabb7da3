"""Topic by topic, against a plain mean over all pairs; sampling where there are many."""

import numpy as np
import pytest

from analysis.routing import topic_matrix as module
from analysis.routing.topic_matrix import topic_matrix
from analysis.routing.topic_safety import jensen_shannon

LABELS = ["benign"] * 7 + ["harmful"] * 3
TOPICS: list[str | None] = ["b", "a", "b", "a", "c", "b", None, "a", "b", "b"]


@pytest.fixture
def probability() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(6), (10, 3)).astype(np.float32)


def test_each_cell_is_the_mean_over_its_pairs(probability: np.ndarray) -> None:
    found = topic_matrix(probability, LABELS, TOPICS, "benign", seed=0)
    assert found is not None
    assert found.topics == ("a", "b", "c")
    rows = {"a": [1, 3], "b": [0, 2, 5], "c": [4]}
    for i, first in enumerate("abc"):
        for j, second in enumerate("abc"):
            pairs = [(x, y) for x in rows[first] for y in rows[second] if (x < y if first == second else x != y)]
            assert found.pairs[i, j] == len(pairs)
            for layer in range(3):
                each = [float(jensen_shannon(probability[x, layer], probability[y, layer])) for x, y in pairs]
                expected = sum(each) / len(each) if each else np.nan
                np.testing.assert_allclose(found.per_layer[layer, i, j], expected, atol=1e-6)
    np.testing.assert_allclose(found.mean, found.per_layer.sum(0) / 3)


def test_a_topic_with_one_prompt_has_no_pair_within_itself(probability: np.ndarray) -> None:
    found = topic_matrix(probability, LABELS, TOPICS, "harmful", seed=0)
    assert found is not None
    assert found.pairs.tolist() == [[0, 2], [2, 1]]
    assert np.isnan(found.mean).tolist() == [[True, False], [False, False]]


def test_one_topic_has_no_matrix(probability: np.ndarray) -> None:
    assert topic_matrix(probability, LABELS, ["a"] * 10, "benign", seed=0) is None


def test_many_pairs_are_sampled_the_same_way_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    many = np.random.default_rng(1).dirichlet(np.ones(4), (40, 1)).astype(np.float32)
    labels, topics = ["benign"] * 40, [str(i % 2) for i in range(40)]
    whole = topic_matrix(many, labels, topics, "benign", seed=0)
    monkeypatch.setattr(module, "MOST_PAIRS", 50)
    first, second = (topic_matrix(many, labels, topics, "benign", seed=3) for _ in range(2))
    assert whole is not None
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.per_layer, second.per_layer)
    assert first.pairs.tolist() == [[50, 50], [50, 50]]
    np.testing.assert_allclose(first.mean, whole.mean, rtol=0.3)
