"""Who may be trained on when whom is tested."""

import numpy as np
import pytest

from analysis.detectors.folds import category_folds, clusters_of, grouped_folds, units_of
from analysis.prompts.prompt_set import Prompt
from tests.analysis.detectors.synthetic import pairs


def labels(prompts: list[Prompt]) -> np.ndarray:
    return np.array([p.label == "harmful" for p in prompts])


def test_pairs_are_never_parted_and_every_prompt_is_tested_once() -> None:
    prompts = pairs(4, 6)
    folds = grouped_folds(labels(prompts), units_of(prompts), 5, seed=0)
    assert len(folds) == 5
    assert sorted(i for fold in folds for i in fold.test) == list(range(len(prompts)))
    for fold in folds:
        assert set(fold.train) | set(fold.test) == set(range(len(prompts)))
        assert not {prompts[i].pair_id for i in fold.train} & {prompts[i].pair_id for i in fold.test}


def test_folds_shrink_to_what_the_rarer_label_can_fill() -> None:
    harmful = np.array([True] * 3 + [False] * 30)
    folds = grouped_folds(harmful, [str(i) for i in range(33)], 5, seed=1)
    assert len(folds) == 3
    assert all(harmful[fold.train].any() for fold in folds)
    assert grouped_folds(np.array([True] + [False] * 9), [str(i) for i in range(10)], 5, seed=1) == []


@pytest.mark.parametrize("seed", range(20))
def test_every_fold_can_be_trained_on_and_none_is_dropped(seed: int) -> None:
    """Units of very different sizes: stratifying them is best effort, and two rare ones may fall together."""
    rng = np.random.default_rng(seed)
    units = [f"u{u}" for u, size in enumerate(rng.integers(1, 9, size=9)) for _ in range(size)]
    harmful = np.isin(units, ["u0", "u1", "u2"]) & (rng.random(len(units)) < 0.7)
    folds = grouped_folds(harmful, units, 5, seed=seed)
    assert sorted(i for fold in folds for i in fold.test) == (list(range(len(units))) if folds else [])
    assert all(0 < harmful[fold.train].mean() < 1 for fold in folds)


def test_a_left_out_topic_is_on_neither_side_and_takes_its_pairs_along() -> None:
    prompts = [
        *pairs(3, 2),
        # A pair whose members have different topics is torn by no fold.
        Prompt("x", "a", "harmful", "topic 00", "odd"),
        Prompt("y", "a", "benign", "topic 01", "odd"),
        Prompt("z", "a", "benign"),
    ]
    folds = category_folds(prompts, labels(prompts))
    assert [fold.categories for fold in folds] == [("topic 00",), ("topic 01",), ("topic 02",)]
    for fold in folds:
        trained, tested = ([prompts[i] for i in side] for side in (fold.train, fold.test))
        assert {p.topic for p in tested} == set(fold.categories)
        assert not {p.topic for p in trained} & set(fold.categories)
        assert not {p.pair_id for p in trained} & {p.pair_id for p in tested}
        assert "z" not in {p.id for p in trained + tested}


def test_many_topics_are_left_out_in_groups() -> None:
    prompts = pairs(33, 1)
    folds = category_folds(prompts, labels(prompts))
    assert len(folds) == 20
    assert sorted(topic for fold in folds for topic in fold.categories) == sorted({p.topic for p in prompts})
    for fold in folds:
        assert not {prompts[i].topic for i in fold.train} & set(fold.categories)


@pytest.mark.parametrize("topics", [["a", "a", "a", "a"], [None] * 4])
def test_one_topic_or_none_leaves_nothing_to_train_on(topics: list[str | None]) -> None:
    prompts = [Prompt(str(i), "a", "harmful" if i % 2 else "benign", topic) for i, topic in enumerate(topics)]
    assert category_folds(prompts, labels(prompts)) == []


def test_a_topic_without_which_a_label_is_missing_is_not_tested() -> None:
    prompts = [
        *(Prompt(f"h{i}", "a", "harmful", "one") for i in range(3)),
        *(Prompt(f"b{i}", "a", "benign", topic) for i, topic in enumerate(["one", "two", "three"])),
    ]
    assert [fold.categories for fold in category_folds(prompts, labels(prompts))] == [("three",), ("two",)]


def test_clusters_are_topics_or_else_units() -> None:
    prompts = [Prompt("1", "a", None, "t", "p"), Prompt("2", "a", None, None, "p"), Prompt("3", "a")]
    assert clusters_of(prompts) == ["topic t", "pair p", "prompt 3"]
