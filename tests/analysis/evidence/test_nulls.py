"""Null sets are different sets of the right size, of the same layers, about as busy, and never the suspects."""

import numpy as np

from analysis.evidence.nulls import by_likeness, matched_sets
from analysis.models import ExpertId

LAYERS = (1, 3, 4)
LOAD = np.tile(np.linspace(0.0, 0.9, 10, dtype=np.float32), (3, 1))
EVERYONE = [ExpertId(layer, e) for layer in LAYERS for e in range(10)]


def test_the_most_alike_are_of_the_same_layer_and_about_as_busy() -> None:
    order = by_likeness(ExpertId(3, 5), EVERYONE, LOAD, LAYERS)
    assert ExpertId(3, 5) not in order
    assert {e.layer for e in order[:9]} == {3}
    assert set(order[:2]) == {ExpertId(3, 4), ExpertId(3, 6)}


def test_sets_differ_and_match_layer_and_number() -> None:
    target = (ExpertId(1, 2), ExpertId(1, 7))
    sets = matched_sets(target, EVERYONE, LOAD, LAYERS, count=30, top_k=2, seed=0)
    assert len(sets) == len(set(sets)) == 30
    assert all(len(set(one)) == 2 and not set(one) & set(target) for one in sets)


def test_single_experts_have_as_many_nulls_as_the_model_has_others() -> None:
    sets = matched_sets((ExpertId(4, 0),), EVERYONE, LOAD, LAYERS, count=100, top_k=2, seed=0)
    assert len(sets) == 29


def test_no_set_leaves_a_layer_without_enough_experts() -> None:
    target = tuple(ExpertId(1, e) for e in range(4))
    sets = matched_sets(target, EVERYONE, LOAD, LAYERS, count=50, top_k=8, seed=0)
    assert all(sum(e.layer == layer for e in one) <= 2 for one in sets for layer in LAYERS)
