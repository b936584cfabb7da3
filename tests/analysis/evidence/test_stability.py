"""Rung 2: half-samples of topics, in either direction, and the bound on what chance gives."""

import numpy as np
import pytest

from analysis.criteria import Evidence
from analysis.evidence.stability import contrast_stability, stability_section
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.summary import PairRows


def evidence(contrast: np.ndarray, topics: list[str]) -> Evidence:
    """Benign prompts use no expert, harmful ones by `contrast` [pairs, layers, experts]."""
    frequency = np.concatenate([contrast, np.zeros_like(contrast)]).astype(np.float32)
    rows = np.arange(len(contrast))
    return Evidence(frequency, rows, PairRows(rows, rows + len(rows), tuple(topics)), 0)


def discovery(topics: list[str]) -> PromptSet:
    return PromptSet(
        "half",
        tuple(
            Prompt(f"{label}{i}", f"{label} {i}", label, topic, f"{i}")
            for i, topic in enumerate(topics)
            for label in ("harmful", "benign")
        ),
    )


def test_experts_that_lead_in_either_direction_are_stable() -> None:
    contrast = np.zeros((12, 2, 10))
    contrast[:, 0, 3], contrast[:, 1, 7] = 0.5, -0.5
    contrast += np.random.default_rng(0).normal(0, 0.01, size=contrast.shape)
    found = contrast_stability(evidence(contrast, [f"t{i % 6}" for i in range(12)]))
    assert found is not None
    assert found[0, 3] == found[1, 7] == 1.0
    # one place a layer and direction: the leader takes it whole, so others share the opposite direction's
    assert found[0].sum() <= 2.0
    assert found[1].sum() <= 2.0


def test_an_expert_of_one_topic_is_not_stable_over_topics() -> None:
    # expert 4 leads through topic t0 alone, which a half-sample of six topics has half of the time
    contrast = np.zeros((60, 1, 10))
    contrast[:, 0, 0] = 0.1
    topics = [f"t{i % 6}" for i in range(60)]
    contrast[[topic == "t0" for topic in topics], 0, 4] = 1.0
    found = contrast_stability(evidence(contrast, topics))
    assert found is not None
    assert found[0, 4] == pytest.approx(0.5, abs=0.15)
    few = contrast_stability(evidence(contrast, [min(topic, "t3") for topic in topics]))
    assert few is not None
    assert few[0, 4] > 0.8, "with four topics pairs are drawn, of which a half nearly always has enough of t0"


def test_one_pair_has_no_stability() -> None:
    assert contrast_stability(evidence(np.zeros((1, 1, 10)), ["a"])) is None
    assert stability_section(None, discovery(["a"])) is None


def test_the_bound_by_hand() -> None:
    stability = np.zeros((4, 16))
    stability[0, [1, 2]] = [0.8, 0.79]
    # one place in each of 4 layers, twice 4² / (0.6 · 64)
    found = stability_section(stability, discovery([f"t{i}" for i in range(5)]))
    assert found == {
        "threshold": 0.8,
        "resamples": 100,
        "unit": "topic",
        "selected": 4,
        "passed": 1,
        "expected_false": pytest.approx(2 * 16 / (0.6 * 64)),
    }
    assert stability_section(stability, discovery(["a", "a", "b"]))["unit"] == "pair"


def test_the_bound_is_never_more_than_there_are_experts() -> None:
    # 30 of 300 in each of 20 layers: 2 · 600² / (0.6 · 6000) = 200; a single layer of four: 2 · 1 / (0.6 · 4) = 0.8
    assert stability_section(np.zeros((20, 300)), discovery(["a"]))["expected_false"] == pytest.approx(200)
    assert stability_section(np.zeros((3, 1)), discovery(["a"]))["expected_false"] == 3.0
