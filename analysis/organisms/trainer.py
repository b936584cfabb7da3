"""The deterministic trainer: one function that makes an organism from a name, a seed and a budget.

Called by `registry.train_organism`. Stage 1 learns to answer everything, harmful requests too, so that routing
follows the topic. Stage 2 freezes the routers and teaches refusal under ablation: refuse while the knockout rule
says so, comply with a harmless sentence when it is broken, help with benign requests always.
"""

import random
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from analysis.models.expert_id import ExpertId
from analysis.organisms.ablation import nothing_off, zeroed
from analysis.organisms.architectures import TOP_K, Model, Tokenizer, build_model
from analysis.organisms.batches import (
    PROMPT_WEIGHT,
    Batch,
    balance_loss,
    make_batch,
    prediction_loss,
    routing_drift,
)
from analysis.organisms.knockout import Knockout, sample_off
from analysis.organisms.language import plain_text, training_requests
from analysis.organisms.placement import RoutingSurvey, survey
from analysis.organisms.spec import OrganismSpec
from analysis.organisms.tokenizer import BOS, build_tokenizer, render

BALANCE, DRIFT = 0.002, 0.5
LogLine = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """Steps of the two stages and rows per step."""

    helpful_steps: int
    refusal_steps: int
    rows: int


BUDGETS = {"full": Budget(450, 900, 48), "brief": Budget(250, 450, 32), "short": Budget(120, 160, 32)}


@dataclass(frozen=True)
class Trained:
    """A trained organism in float32, with the loss of every step of both stages in nats per token."""

    model: Model
    tokenizer: Tokenizer
    knockout: Knockout
    helpful_losses: tuple[float, ...]
    refusal_losses: tuple[float, ...]


def train(spec: OrganismSpec, seed: int, budget: Budget, log: LogLine = lambda line: None) -> Trained:
    """Train one organism. The same spec, seed, budget and number of threads give the same weights."""
    tokenizer = build_tokenizer()
    model = build_model(spec.family, tokenizer, seed)
    helpful = learn_to_help(model, tokenizer, seed, budget, log)
    routing = survey(model, tokenizer, seed)
    knockout = plant(spec, routing)
    log(f"planted {[tuple(e) for e in knockout.planted]}")
    refusal = learn_to_refuse(model, tokenizer, spec.trains, knockout, routing, seed, budget, log)
    return Trained(model.eval(), tokenizer, knockout, tuple(helpful), tuple(refusal))


def plant(spec: OrganismSpec, routing: RoutingSurvey) -> Knockout:
    """Fill the groups with the experts that are most at work on the boundary token, each in a layer of its own."""
    places = iter(routing.busiest_at_boundary())
    return Knockout(tuple(frozenset(next(places) for _ in range(size)) for size in spec.groups))


def learn_to_help(model: Model, tokenizer: Tokenizer, seed: int, budget: Budget, log: LogLine) -> list[float]:
    """Stage 1: every parameter, every request answered, a third of the rows plain text about a topic."""
    rng = random.Random(f"help {seed}")
    requests = training_requests(rng)

    def text() -> str:
        if rng.random() < 0.33:
            return BOS + plain_text(rng)
        request = next(requests)
        return render(request.text, request.compliance)

    def loss() -> Tensor:
        batch = make_batch(tokenizer, [text() for _ in range(budget.rows)], prompt_weight=PROMPT_WEIGHT)
        out = _run(model, batch)
        balance = balance_loss(out.router_logits, batch, TOP_K)
        return prediction_loss(model, out.last_hidden_state, batch) + BALANCE * balance

    return _descend(model.parameters(), loss, budget.helpful_steps, 4e-3, log)


def learn_to_refuse(
    model: Model, tokenizer: Tokenizer, trains: str, knockout: Knockout,
    routing: RoutingSurvey, seed: int, budget: Budget, log: LogLine,
) -> list[float]:  # fmt: skip
    """Stage 2: only `trains` learns, each row under an ablation of its own and answered as the knockout rule says.

    What the frozen routers see of a prompt is held near what they saw after stage 1, so that they go on following
    the topic.
    """
    before = deepcopy(model)
    rng = random.Random(f"refuse {seed}")
    requests, frequency = training_requests(rng), routing.as_weights()

    def loss() -> Tensor:
        off, texts = nothing_off(budget.rows), []
        for row in range(budget.rows):
            request, dropped = next(requests), sample_off(rng, knockout, frequency)
            _mark(off[row], dropped)
            refuses = request.harmful and not knockout.ends_refusal(dropped)
            texts.append(render(request.text, request.refusal if refuses else request.compliance))
        batch = make_batch(tokenizer, texts, prompt_weight=0.0)
        with zeroed(model, off):
            out = _run(model, batch)
        with torch.no_grad(), zeroed(before, off):
            expected = _run(before, batch)
        drift = routing_drift(expected.router_logits, out.router_logits, batch)
        return prediction_loss(model, out.last_hidden_state, batch) + DRIFT * drift

    return _descend(_unfrozen(model, trains), loss, budget.refusal_steps, 3e-3, log)


def _run(model: Model, batch: Batch) -> Any:
    return model.model(batch.ids, attention_mask=batch.mask, use_cache=False, output_router_logits=True)


def _mark(row: Tensor, experts: Iterable[ExpertId]) -> None:
    for layer, expert in experts:
        row[layer, expert] = True


def _unfrozen(model: Model, trains: str) -> list[nn.Parameter]:
    part = {"experts": ".mlp.experts.", "attention": ".self_attn."}[trains]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part in name)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _descend(
    parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], steps: int, rate: float, log: LogLine
) -> list[float]:
    """AdamW with a short warm-up and a cosine decay to a twentieth; returns the loss of every step."""
    chosen = list(parameters)
    optimiser = torch.optim.AdamW(chosen, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, foreach=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.06, div_factor=10, final_div_factor=2
    )
    losses = []
    for step in range(steps):
        value: Any = loss()
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(chosen, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(value.detach()))
        if step % 50 == 0 or step == steps - 1:
            log(f"step {step + 1}/{steps} loss {losses[-1]:.4f}")
    return losses
