"""What detectors read, against numbers worked by hand."""

import math

import numpy as np
import pytest

from analysis.detectors import DETECTORS, nearest, router_logits, routescan
from analysis.detectors.base import Column
from analysis.detectors.routescan import layer_summaries
from analysis.detectors.signals import Signals
from analysis.prompts.prompt_set import Prompt


@pytest.fixture
def two_layers() -> Signals:
    """One prompt; layer 2 has four experts, layer 5 only two, whose missing ones are NaN."""
    load = np.array([[[0.5, 0.25, 0.25, 0.0], [0.75, 0.25, np.nan, np.nan]]])
    logits = np.array([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, np.nan, np.nan]]])
    return Signals((Prompt("p", "a"),), (2, 5), (4, 2), (5,), load, logits, np.zeros((1, 1, 3)), np.array([4]))


def test_summaries_of_a_load_worked_by_hand() -> None:
    load = np.array([[0.5, 0.25, 0.25, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0], [0.6, 0.1, 0.3, 0.0]])
    entropy = -(0.6 * math.log2(0.6) + 0.1 * math.log2(0.1) + 0.3 * math.log2(0.3))
    expected = [
        [3 / 4, 1.5, 0.25, 0.375],  # coverage, entropy in bits, gap, concentration
        [1, 2, 0, 0.25],
        [1 / 4, 0, 1, 1],
        [3 / 4, entropy, 0.3, 0.46],
    ]
    np.testing.assert_allclose(layer_summaries(load), expected, atol=1e-12)


def test_a_layer_with_one_expert_has_no_second_one() -> None:
    np.testing.assert_allclose(layer_summaries(np.ones((2, 1))), [[1, 0, 1, 1]] * 2)


def test_routescan_has_every_load_and_four_summaries_a_layer(two_layers: Signals) -> None:
    found = routescan.features(two_layers)
    loads = [Column("load", 2, e) for e in range(4)] + [Column("load", 5, e) for e in range(2)]
    kinds = ["coverage", "entropy", "gap", "concentration"]
    assert list(found.columns) == loads + [Column(kind, layer) for layer in (2, 5) for kind in kinds]
    second = [1, -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)), 0.5, 0.625]
    expected = [0.5, 0.25, 0.25, 0, 0.75, 0.25, 3 / 4, 1.5, 0.25, 0.375, *second]
    np.testing.assert_allclose(found.values, [expected], atol=1e-12)


def test_router_logits_are_taken_as_they_are_and_missing_experts_left_out(two_layers: Signals) -> None:
    found = router_logits.features(two_layers)
    np.testing.assert_array_equal(found.values, [[1, 2, 3, 4, 5, 6]])
    assert found.columns[4] == Column("logit", 5, 0)


def test_the_similarity_of_two_loads_is_their_mean_overlap_over_layers() -> None:
    loads = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]], [[0.9, 0.1], [0.5, 0.5]]])
    prompts = tuple(Prompt(str(i), "a") for i in range(3))
    signals = Signals(prompts, (0, 1), (2, 2), (), loads, loads, np.zeros((3, 0, 1)), np.ones(3, dtype=int))
    rows = nearest.features(signals).values
    third = math.sqrt(0.45) + math.sqrt(0.05)
    expected = [
        [1, 0.5, (third + math.sqrt(0.5)) / 2],
        [0.5, 1, (third + math.sqrt(0.5)) / 2],
        [(third + math.sqrt(0.5)) / 2] * 2 + [1],
    ]
    np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-12)


def test_neighbours_vote_with_their_similarity() -> None:
    memory = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])
    scorer = nearest.NearestScorer(memory, np.array([True, False, False, True]), 3)
    # Nearest to (1, 0): itself 1, (0.8, 0.6) 0.8, (0.6, 0.8) 0.6; the first two are harmful.
    assert scorer.probability(np.array([[1.0, 0.0]])) == pytest.approx([(1 + 0.8) / (1 + 0.8 + 0.6)])
    assert scorer.probability(np.array([[0.0, 0.0]])) == pytest.approx([0.5])


@pytest.mark.parametrize(("remembered", "neighbours"), [(2, 1), (30, 10), (45, 15), (600, 15)])
def test_how_many_neighbours_vote(remembered: int, neighbours: int) -> None:
    harmful = np.arange(remembered) % 2 == 0
    assert nearest.fit_nearest(np.zeros((remembered, 1)), harmful, []).neighbours == neighbours


def test_each_detector_says_what_it_is() -> None:
    assert list(DETECTORS) == ["routescan", "router_logits", "nearest"]
    assert all(one.info.name == name and one.info.source for name, one in DETECTORS.items())
