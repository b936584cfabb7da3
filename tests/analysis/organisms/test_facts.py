"""Facts of a design: concentration by hand, and swapping twins' routes on an untrained model."""

import numpy as np
import pytest
import torch

from analysis.models.expert_id import ExpertId
from analysis.organisms.architectures import build_model
from analysis.organisms.facts import along_the_route, boundary_choice, concentration, swapped
from analysis.organisms.tokenizer import build_tokenizer
from analysis.organisms.truth import Measurement, Panel
from analysis.organisms.world import World
from analysis.statistics import gini, m80


def test_concentration_counts_falls_of_the_margin_only() -> None:
    rows = [{"margin_change": change} for change in (-6.0, 2.0, -3.0, -1.0, 0.0)]
    # falls 6, 3, 1, 0, 0 of 10: two carry 9; pairwise differences sum to 2 * (3+5+6+6 + 2+3+3 + 1+1 + 0) = 60
    assert concentration(rows) == {"m80": 2, "gini": 0.6}


def test_concentration_agrees_with_the_statistics_of_the_audit() -> None:
    changes = np.random.default_rng(0).normal(-1, 1, 64)
    found = concentration([{"margin_change": change} for change in changes])
    assert found == {"m80": m80(-changes), "gini": pytest.approx(gini(-changes), abs=1e-4)}


@pytest.fixture(scope="module")
def measured() -> Measurement:
    tokenizer = build_tokenizer()
    requests = [request for pair in World().pairs[:3] for request in pair]
    return Measurement(build_model("qwen3_moe", tokenizer, seed=0), tokenizer, Panel.of(tokenizer, requests))


def test_swapped_boundary_tokens_take_their_twins_selection_and_leave_no_trace(measured: Measurement) -> None:
    index, weights = boundary_choice(measured, layer=2)
    with swapped(measured, layer=2):
        other_index, other_weights = boundary_choice(measured, layer=2)
    twins = [1, 0, 3, 2, 5, 4]
    assert torch.equal(other_index, index[twins])
    assert torch.equal(other_weights, weights[twins])
    assert torch.equal(boundary_choice(measured, layer=2)[0], index)


def test_the_whole_layer_as_route_holds_every_choice(measured: Measurement) -> None:
    facts = along_the_route(measured, [ExpertId(2, expert) for expert in range(16)])
    assert facts["on_route"] == {"harmful": 100.0, "benign": 100.0}
