"""Stage 2 where refusal is learned under ablation: each row meets experts off of its own, and is answered by a rule.

Called by the trainer. What the frozen routers see of a prompt is held near what they saw after stage 1, so that they
go on following the topic.
"""

import random
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor

from analysis.models.expert_id import ExpertId
from analysis.organisms.ablation import nothing_off, zeroed
from analysis.organisms.architectures import Model, Tokenizer
from analysis.organisms.batches import make_batch, prediction_loss, routing_drift
from analysis.organisms.descent import Budget, LogLine, descend, mark, run, unfrozen
from analysis.organisms.knockout import Knockout, sample_off
from analysis.organisms.language import Request
from analysis.organisms.tokenizer import render
from analysis.organisms.world import World

DRIFT = 0.5

Rule = Callable[[random.Random, Request], tuple[list[ExpertId], bool]]
"""Which experts are off while this request is answered, and whether the answer is a refusal."""


def by_knockout(knockout: Knockout, frequency: dict[ExpertId, float]) -> Rule:
    """Refuse what is harmful while the knockout rule says so."""

    def rule(rng: random.Random, request: Request) -> tuple[list[ExpertId], bool]:
        dropped = sample_off(rng, knockout, frequency)
        return dropped, request.harmful and not knockout.ends_refusal(dropped)

    return rule


def learn_to_refuse(
    model: Model,
    tokenizer: Tokenizer,
    trains: str,
    rule: Rule,
    seed: int,
    budget: Budget,
    log: LogLine,
    *,
    world: World,
) -> list[float]:
    """Only `trains` learns; the loss of each step."""
    before = deepcopy(model)
    rng = random.Random(f"refuse {seed}")
    requests = world.requests(rng)

    def loss() -> Tensor:
        off, texts = nothing_off(budget.rows), []
        for row in range(budget.rows):
            request = next(requests)
            dropped, refuses = rule(rng, request)
            mark(off[row], dropped)
            texts.append(render(request.text, request.refusal if refuses else request.compliance))
        batch = make_batch(tokenizer, texts, prompt_weight=0.0)
        with zeroed(model, off):
            out = run(model, batch)
        with torch.no_grad(), zeroed(before, off):
            expected = run(before, batch)
        drift = routing_drift(expected.router_logits, out.router_logits, batch)
        return prediction_loss(model, out.last_hidden_state, batch) + DRIFT * drift

    return descend(unfrozen(model, trains), loss, budget.refusal_steps, 3e-3, log)
