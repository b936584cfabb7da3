"""Interventions on models whose answer is known: what ends refusal, what carries it over, and what does not."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from analysis.evidence.bench import Bench, ExpertSet
from analysis.evidence.controls import random_sets
from analysis.evidence.split import subset
from analysis.interventions import (
    mask_mean,
    mean_outputs,
    patch_output,
    patch_routing,
    record_run,
    remember,
    routing_memory,
    steer_soft,
)
from analysis.models import ExpertId, LoadedModel, SeamListener, load_model
from analysis.prompts import load_prompts
from analysis.prompts.prompt_set import Prompt
from analysis.routing.trace import CaptureSettings, capture
from analysis.study import refusal_bench

NECESSARY = (ExpertId(0, 1), ExpertId(2, 10))


@dataclass(frozen=True)
class Subject:
    model: LoadedModel
    bench: Bench
    harmful: list[Prompt]
    benign: list[Prompt]

    def loss(self, listener: SeamListener) -> float:
        """Mean loss of refusal probability on harmful prompts."""
        return float(self.bench.intervene(listener).refusal.mean())

    def rise(self, listener: SeamListener) -> float:
        """Mean rise of refusal probability on benign prompts."""
        return float(self.bench.intervene(listener).over_refusal.mean())


def open_organism(name: str) -> Subject:
    """`harmful` and `benign` are matched pairs in one order, of the same length each."""
    model = load_model(f"organism:{name}", device="cpu")
    prompts = subset(load_prompts("builtin:organism", organism=name), 24, seed=0)
    bench = refusal_bench(model, capture(model, prompts, CaptureSettings(max_new_tokens=16)))
    pairs = [(h, b) for h in prompts.labelled("harmful") for b in prompts.labelled("benign") if h.pair_id == b.pair_id]
    assert len(pairs) == 24
    return Subject(model, bench, [h for h, _ in pairs], [b for _, b in pairs])


@pytest.fixture(scope="module")
def planted() -> Subject:
    return open_organism("planted")


@pytest.fixture(scope="module")
def attention() -> Subject:
    return open_organism("attention")


def elsewhere(one: Subject) -> list[ExpertSet]:
    """Twelve random sets like the necessary one, which leave both of its members out."""
    even = np.full((4, 16), 1 / 8, np.float32)
    return random_sets(one.model.seam.layers, NECESSARY, NECESSARY, even, count=12, seed=0)


@pytest.mark.parametrize("mode", ["mask_zero", "mask_reroute", "mask_mean", "steer_soft"])
def test_taking_the_necessary_experts_away_ends_refusal_and_taking_others_does_not(planted: Subject, mode: str) -> None:
    seam = planted.model.seam
    means = mean_outputs(planted.model, planted.benign)
    interventions: dict[str, Callable[[ExpertSet], SeamListener]] = {
        "mask_mean": lambda one: mask_mean(seam, one, means),
        "steer_soft": lambda one: steer_soft(seam, off=one),
    }
    asked = [NECESSARY, *elsewhere(planted)]
    effects = planted.bench.ablate(asked, mode=interventions.get(mode, mode))  # type: ignore[arg-type]
    lost = effects.refusal.mean(1)
    assert lost[0] > 0.99
    # Means disturb this model more than zeros: a random set may cost a part of refusal then.
    assert lost[1:].mean() < 0.1
    assert lost[1:].max() < (0.9 if mode == "mask_mean" else 0.2)
    assert effects.over_refusal[0].mean() < 0.01
    assert effects.benign_kl[0].mean() < 0.01


def test_an_experts_mean_still_says_something(planted: Subject) -> None:
    """Zeroing the first of the two ends refusal; with its mean in its place three quarters of it remain."""
    means = mean_outputs(planted.model, planted.benign)
    assert planted.loss(mask_mean(planted.model.seam, NECESSARY[:1], means)) < 0.5
    zeroed = planted.bench.losses([NECESSARY[:1]])
    assert float(zeroed.refusal.mean()) > 0.99


def test_what_the_planted_experts_say_carries_refusal_over_and_where_tokens_go_does_not(planted: Subject) -> None:
    model, bad, good = planted.model, planted.harmful, planted.benign
    refusing, helpful = record_run(model, bad, NECESSARY), record_run(model, good, NECESSARY)
    assert planted.rise(patch_output(model, refusing, good, align="same")) > 0.9
    assert planted.loss(patch_output(model, helpful, bad, align="same")) > 0.9
    assert planted.rise(patch_routing(model, refusing, good, align="same")) < 0.1
    assert planted.loss(patch_routing(model, helpful, bad, align="same")) < 0.15


def test_where_refusal_is_in_the_attention_no_patch_of_experts_moves_it(attention: Subject) -> None:
    model, bad, good = attention.model, attention.harmful, attention.benign
    refusing, helpful = record_run(model, bad, NECESSARY), record_run(model, good, NECESSARY)
    for patch in (patch_routing, patch_output):
        assert abs(attention.rise(patch(model, refusing, good))) < 0.01
        assert abs(attention.loss(patch(model, helpful, bad))) < 0.01


def test_a_routing_memory_can_be_held_against_refusal_like_any_intervention(planted: Subject) -> None:
    wrapped = routing_memory(planted.model.seam, remember(planted.model, planted.benign))
    effects = planted.bench.intervene(wrapped)
    assert effects.refusal.shape == (1, 24)
    assert np.abs(effects.margin).max() > 0
    assert abs(float(effects.refusal.mean())) < 0.01
    assert abs(float(effects.over_refusal.mean())) < 0.01


def test_losses_are_the_harmful_half_of_the_effects(planted: Subject) -> None:
    sets = [NECESSARY, *elsewhere(planted)[:3]]
    losses, effects = planted.bench.losses(sets), planted.bench.ablate(sets)
    assert np.array_equal(losses.margin, effects.margin)
    assert np.array_equal(losses.refusal, effects.refusal)
