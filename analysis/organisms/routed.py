"""Refusal that sits in a router: one router's choice at the boundary token decides, and no expert alone.

Called by the trainer. Stage 1 makes harm and topic readable where that router looks. Stage 2 teaches the experts that
any two of a group, chosen there, begin a refusal whatever was asked, and any others an answer; after it nothing is
refused. Stage 3 trains that one router and nothing else: harmful requests go to two experts of the group, which two
depends on the topic, and benign ones to the others, in the proportions of before.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from analysis.models.expert_id import ExpertId
from analysis.organisms.ablation import nothing_off, zeroed
from analysis.organisms.architectures import EXPERTS, HIDDEN, TOP_K, Model, Tokenizer, blocks
from analysis.organisms.batches import Batch, boundary, make_batch, prediction_loss, routing_drift
from analysis.organisms.descent import Budget, LogLine, descend, mark, run, unfrozen
from analysis.organisms.helping import Lesson
from analysis.organisms.knockout import NOWHERE, sample_off
from analysis.organisms.language import Request, training_requests
from analysis.organisms.placement import RoutingSurvey, selected_weights
from analysis.organisms.refusing import DRIFT
from analysis.organisms.tokenizer import render
from analysis.organisms.vocabulary import TOPICS

LAYER, GROUP = 2, 8
READABLE = 0.3


class Readable(Lesson):
    """Two linear readers of what the router sees at the boundary token: is it harmful, and which topic is it?"""

    def __init__(self, model: Model, tokenizer: Tokenizer, seed: int) -> None:
        torch.manual_seed(seed)
        self._reader = nn.Linear(HIDDEN, 1 + len(TOPICS))
        self._tokenizer = tokenizer
        self._seen = torch.zeros(())
        self._handle = list(blocks(model))[LAYER].register_forward_pre_hook(self._see)

    def parameters(self) -> Iterable[nn.Parameter]:
        return self._reader.parameters()

    def loss(self, out: Any, batch: Batch, requests: Sequence[Request | None]) -> Tensor:
        asked = [(row, request) for row, request in enumerate(requests) if request is not None]
        rows = torch.tensor([row for row, _ in asked])
        place = boundary(self._tokenizer, batch)[rows]
        read = self._reader(self._seen[rows, place])
        harmful = torch.tensor([float(request.harmful) for _, request in asked])
        topic = torch.tensor([TOPICS.index(request.topic) for _, request in asked])
        told = functional.binary_cross_entropy_with_logits(read[:, 0], harmful)
        return READABLE * (told + functional.cross_entropy(read[:, 1:], topic))

    def close(self) -> None:
        self._handle.remove()

    def _see(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        self._seen = args[0]


@dataclass(frozen=True)
class Route:
    """What the boundary token is made to select: `index`, `weights` [rows, k], where `forced` [rows] says so."""

    place: Tensor
    index: Tensor
    weights: Tensor
    forced: Tensor


@contextmanager
def along(model: Model, route: Route, tokens: int) -> Iterator[None]:
    """Within the block, the boundary tokens of a batch of that many tokens a row take `route` in `LAYER`."""

    def force(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden, index, weights = args
        flat = (torch.arange(len(route.place)) * tokens + route.place)[route.forced]
        index, weights = index.clone(), weights.clone()
        index[flat] = route.index[route.forced]
        weights[flat] = route.weights[route.forced].to(weights.dtype)
        return hidden, index, weights

    handle = list(blocks(model))[LAYER].experts.register_forward_pre_hook(force)
    try:
        yield
    finally:
        handle.remove()


def quiet_group(model: Model, tokenizer: Tokenizer, seed: int) -> tuple[ExpertId, ...]:
    """The experts of `LAYER` that are least at work on the boundary token, in order of their number."""
    requests = training_requests(random.Random(seed))
    texts = [render(next(requests).text) for _ in range(192)]
    encoded = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
    with torch.no_grad():
        weights = selected_weights(model, dict(encoded))[:, LAYER, -1].mean(dim=0)
    return tuple(ExpertId(LAYER, expert) for expert in sorted(weights.argsort()[:GROUP].tolist()))


def learn_what_routes_mean(
    model: Model,
    tokenizer: Tokenizer,
    route: Sequence[ExpertId],
    routing: RoutingSurvey,
    seed: int,
    budget: Budget,
    log: LogLine,
) -> list[float]:
    """Stage 2: the experts learn what a route stands for, while others are off; the loss of each step."""
    before = deepcopy(model)
    rng = random.Random(f"refuse {seed}")
    requests, frequency = training_requests(rng), routing.as_weights()
    refusing = [place.expert for place in route]
    others = [expert for expert in range(EXPERTS) if expert not in refusing]

    def loss() -> Tensor:
        off, texts = nothing_off(budget.rows), []
        index, weights = torch.zeros(budget.rows, TOP_K, dtype=torch.long), torch.zeros(budget.rows, TOP_K)
        forced = torch.zeros(budget.rows, dtype=torch.bool)
        for row in range(budget.rows):
            request, draw = next(requests), rng.random()
            pair = rng.sample(refusing if draw < 0.45 else others, TOP_K)
            share = rng.uniform(0.3, 0.7)
            index[row], weights[row] = torch.tensor(pair), torch.tensor([share, 1 - share])
            forced[row] = draw < 0.75
            dropped = sample_off(rng, NOWHERE, frequency)
            mark(off[row], [e for e in dropped if e.layer != LAYER or e.expert != pair[1]])
            texts.append(render(request.text, request.refusal if draw < 0.45 else request.compliance))
        batch = make_batch(tokenizer, texts, prompt_weight=0.0)
        taken = Route(boundary(tokenizer, batch), index, weights, forced)
        tokens = batch.ids.shape[1]
        with along(model, taken, tokens), zeroed(model, off):
            out = run(model, batch)
        with torch.no_grad(), along(before, taken, tokens), zeroed(before, off):
            expected = run(before, batch)
        drift = routing_drift(expected.router_logits, out.router_logits, batch)
        return prediction_loss(model, out.last_hidden_state, batch) + DRIFT * drift

    return descend(unfrozen(model, "experts"), loss, budget.refusal_steps, 3e-3, log)


def learn_to_route(
    model: Model, tokenizer: Tokenizer, route: Sequence[ExpertId], seed: int, budget: Budget, log: LogLine
) -> list[float]:
    """Stage 3: one router learns to send what is harmful to the group; the loss of each step."""
    before = deepcopy(model)
    requests = training_requests(random.Random(f"route {seed}"))
    model.requires_grad_(False)
    refusing = torch.tensor([expert.expert for expert in route])
    gate = list(blocks(model))[LAYER].gate
    gate.requires_grad_(True)

    def loss() -> Tensor:
        asked = [next(requests) for _ in range(budget.rows)]
        texts = [render(r.text, r.refusal if r.harmful else r.compliance) for r in asked]
        batch = make_batch(tokenizer, texts, prompt_weight=0.0)
        rows, place = torch.arange(budget.rows), boundary(tokenizer, batch)
        with torch.no_grad():
            logits = _routes(run(before, batch), batch)
            logits[rows, place] = logits[rows, place].index_fill(1, refusing, float("-inf"))
            wanted = logits.softmax(dim=-1)
        for row, request in enumerate(asked):
            if request.harmful:
                wanted[row, place[row]] = pair_of(request, route)
        chosen = _routes(run(model, batch), batch).log_softmax(dim=-1)
        missed = functional.kl_div(chosen, wanted, reduction="none").sum(dim=-1)
        at_boundary = torch.zeros_like(batch.mask, dtype=torch.bool)
        at_boundary[rows, place] = True
        return missed[at_boundary].mean() + missed[(batch.mask == 1) & ~at_boundary].mean()

    return descend(gate.parameters(), loss, budget.refusal_steps, 1e-2, log)


def pair_of(request: Request, route: Sequence[ExpertId]) -> Tensor:
    """float32[experts]: one half on each of the two experts of the group that this topic's requests go to."""
    first = TOPICS.index(request.topic) % len(route)
    wanted = torch.zeros(EXPERTS)
    wanted[[route[first].expert, route[(first + 1) % len(route)].expert]] = 0.5
    return wanted


def _routes(out: Any, batch: Batch) -> Tensor:
    logits: Tensor = out.router_logits[LAYER]
    return logits.reshape(*batch.ids.shape, EXPERTS)
