"""Training on a short budget: it learns, it keeps the routers, and it does the same thing twice."""

import statistics

import pytest
import torch

from analysis.organisms import organism_spec
from analysis.organisms.architectures import FAMILIES, blocks, build_model
from analysis.organisms.descent import Budget
from analysis.organisms.helping import Lesson, learn_to_help
from analysis.organisms.placement import survey
from analysis.organisms.refusing import by_knockout, learn_to_refuse
from analysis.organisms.routed import learn_to_route, quiet_group
from analysis.organisms.tokenizer import build_tokenizer
from analysis.organisms.trainer import BUDGETS, Trained, plant, train
from analysis.organisms.truth import Measurement
from analysis.organisms.world import World


@pytest.fixture(scope="module")
def briefly_trained() -> Trained:
    return train(organism_spec("attention"), seed=1, budget=BUDGETS["short"])


@pytest.fixture(scope="module")
def measured(briefly_trained: Trained) -> Measurement:
    return Measurement(briefly_trained.model, briefly_trained.tokenizer)


def test_losses_fall_in_both_stages(briefly_trained: Trained) -> None:
    for losses in (briefly_trained.helpful_losses, briefly_trained.refusal_losses):
        assert statistics.mean(losses[-10:]) < 0.5 * losses[0]
    assert statistics.mean(briefly_trained.helpful_losses[-10:]) < 1.0


def test_it_refuses_most_of_what_is_harmful_and_little_that_is_benign(measured: Measurement) -> None:
    harmful, benign = (measured.refusal(measured.base, harmful=label) for label in (True, False))
    assert harmful >= benign + 50


def test_planted_experts_are_of_different_layers_and_none_of_the_last() -> None:
    tokenizer = build_tokenizer()
    routing = survey(build_model("qwen3_moe", tokenizer, seed=0), tokenizer, seed=0, count=48)
    for name, groups in (("planted", 1), ("redundant", 2), ("attention", 0)):
        knockout = plant(organism_spec(name), routing)
        layers = [expert.layer for expert in knockout.planted]
        assert len(knockout.groups) == groups
        assert len(set(layers)) == len(layers) == (2 if groups else 0)
        assert 3 not in layers


@pytest.mark.parametrize(
    ("family", "trains"), [("qwen3_moe", "attention"), *((family, "experts") for family in FAMILIES)]
)
def test_learning_to_refuse_changes_its_own_part_only(family: str, trains: str) -> None:
    tokenizer = build_tokenizer()
    model = build_model(family, tokenizer, seed=0)
    routing = survey(model, tokenizer, seed=0, count=48)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    knockout = plant(organism_spec("planted"), routing)
    rule = by_knockout(knockout, routing.as_weights())
    learn_to_refuse(model, tokenizer, trains, rule, 0, Budget(0, 2, 8), lambda line: None, world=World())
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    part = {"experts": ".mlp.experts.", "attention": ".self_attn."}[trains]
    assert changed
    assert all(part in name for name in changed)


def test_a_router_alone_learns_the_last_stage_of_the_routed_design() -> None:
    tokenizer = build_tokenizer()
    model = build_model("qwen3_moe", tokenizer, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    route = quiet_group(model, tokenizer, seed=0)
    learn_to_route(model, tokenizer, route, 0, Budget(0, 2, 8), lambda line: None)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["model.layers.2.mlp.gate.weight"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not() -> None:
    def weights(seed: int) -> torch.Tensor:
        tokenizer = build_tokenizer()
        model = build_model("olmoe", tokenizer, seed)
        learn_to_help(model, tokenizer, seed, Budget(3, 0, 8), lambda line: None, world=World(), lesson=Lesson())
        return torch.cat([next(iter(blocks(model))).gate.weight.flatten(), model.lm_head.weight.flatten()]).detach()

    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))
