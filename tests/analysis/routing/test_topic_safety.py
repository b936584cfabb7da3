"""Five contrasts and their overlaps, against plain loops; and what a known organism has to show."""

import math

import numpy as np
import pytest

from analysis import capture, contrasts, force_answers, load_model, load_prompts
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.forced import ForcedPair
from analysis.routing.topic_safety import CONTRASTS, NOT_FORCED, TopicSafety, top_k_overlap
from analysis.routing.trace import CaptureSettings, Trace


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    everything = load_prompts("builtin:organism")
    pairs = [pair for topic in everything.topics for pair in [p for p in everything.pairs if p.topic == topic][:3]]
    return PromptSet("some", tuple(prompt for pair in pairs for prompt in (pair.harmful, pair.benign)))


@pytest.fixture(scope="module")
def study(prompts: PromptSet) -> tuple[Trace, ForcedPair]:
    model = load_model("organism:planted", device="cpu")
    trace = capture(model, prompts, CaptureSettings(max_new_tokens=12))
    return trace, force_answers(model, trace)


@pytest.fixture(scope="module")
def found(study: tuple[Trace, ForcedPair]) -> TopicSafety:
    trace, forced = study
    return contrasts(trace, forced=forced)


def test_the_overlap_worked_by_hand() -> None:
    left = np.array([[0.5, 0.3, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
    right = np.array([[0.1, 0.5, 0.3, 0.1], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    assert top_k_overlap(left, right, 2).tolist() == [1, 2, 0]
    assert top_k_overlap(left, right, 4).tolist() == [4, 4, 4]


def jsd(left: list[float], right: list[float]) -> float:
    """Half the two Kullback–Leibler divergences from the middle, in bits."""
    terms = (
        0.5 * p * math.log2(2 * p / (p + q))
        for a, b in ((left, right), (right, left))
        for p, q in zip(a, b, strict=True)
        if p
    )
    return sum(terms)


def shared(left: list[float], right: list[float], k: int) -> int:
    best = [set(sorted(range(len(side)), key=lambda e: -side[e])[:k]) for side in (left, right)]
    return len(best[0] & best[1])


def test_the_behaviour_contrast_is_the_mean_over_prompts(study: tuple[Trace, ForcedPair], found: TopicSafety) -> None:
    _, forced = study
    rows = range(len(forced.refusal.prompts))
    for layer in range(4):
        sides = [
            [trace.probability[row, 2, layer].astype(float).tolist() for trace in (forced.refusal, forced.stand_in)]
            for row in rows
        ]
        expected = sum(jsd(*side) for side in sides) / len(sides)
        assert found.per_layer[layer]["behaviour"].estimate == pytest.approx(expected, abs=1e-6)
        overlap = sum(shared(*side, 2) for side in sides) / len(sides)
        assert found.overlap_per_layer[layer]["behaviour"].estimate == pytest.approx(overlap, abs=1e-6)


def test_the_refusal_prefix_contrast_is_the_mean_over_prompts(
    study: tuple[Trace, ForcedPair], found: TopicSafety
) -> None:
    trace = study[1].refusal
    total = 0.0
    for row, (prompt, _, answer) in enumerate(trace.tokens.tolist()):
        for layer in range(4):
            alone, said = (trace.probability[row, w, layer].astype(float) for w in (0, 2))
            total += jsd(alone.tolist(), ((prompt * alone + answer * said) / (prompt + answer)).tolist())
    assert found.overall["refusal_prefix"].estimate == pytest.approx(total / (4 * len(trace.prompts)), abs=1e-6)


def test_the_safety_overlap_is_the_mean_over_pairs(
    study: tuple[Trace, ForcedPair], found: TopicSafety, prompts: PromptSet
) -> None:
    trace, _ = study
    place = {prompt.id: row for row, prompt in enumerate(trace.prompts)}
    counts = [
        shared(*(trace.probability[place[p.id], 0, layer].tolist() for p in (pair.harmful, pair.benign)), 2)
        for pair in prompts.pairs
        for layer in range(4)
    ]
    assert found.overlap["safety"].estimate == pytest.approx(sum(counts) / len(counts), abs=1e-6)


def test_layers_average_to_the_whole_and_intervals_hold_the_estimate(found: TopicSafety) -> None:
    for name in CONTRASTS:
        layers = [layer[name].estimate or 0.0 for layer in found.per_layer]
        assert found.overall[name].estimate == pytest.approx(sum(layers) / len(layers), abs=1e-9)
        for one in (found.overall[name], found.overlap[name]):
            assert one.low <= one.estimate <= one.high
            assert one.n == 12


def test_an_organism_is_routed_by_topic(found: TopicSafety) -> None:
    """By construction: harm changes a verb, topic everything else; and a refusal in front of it changes little."""
    jsd_of = {name: found.overall[name] for name in CONTRASTS}
    assert jsd_of["topic"].low > 10 * jsd_of["safety"].high
    assert jsd_of["topic"].low > jsd_of["refusal_prefix"].high
    assert jsd_of["topic"].estimate > jsd_of["within_topic"].estimate > jsd_of["safety"].estimate
    assert found.overlap["safety"].low > found.overlap["topic"].high
    assert found.withheld == {}


def test_without_forced_answers_two_contrasts_are_withheld(study: tuple[Trace, ForcedPair], found: TopicSafety) -> None:
    alone = contrasts(study[0])
    assert alone.withheld == dict.fromkeys(("routing.jsd.refusal_prefix", "routing.jsd.behaviour"), NOT_FORCED)
    assert alone.overall["behaviour"].estimate is alone.overlap["behaviour"].estimate is None
    assert alone.overall["topic"] == found.overall["topic"]
    assert alone.topic_ratio == found.topic_ratio
