"""Refusal that many experts carry a little of: the refusal margin falls with the share of routing that is taken away.

Called by the trainer. In stage 1 the routers learn to spread the boundary token too, which they would else send to the
same few experts, and these alone would decide. In stage 2, with experts off whose weights are a share s of what the
routers give out on a harmful prompt, the margin at the first answer token is taught to be FULL · (1 − 2 s) nats: it is
even when half of them are gone. On benign prompts it is −FULL whatever is off. Attention learns too: experts that work
on other tokens only can carry nothing to the boundary token otherwise.
"""

import random
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from analysis.models.expert_id import ExpertId
from analysis.organisms.ablation import Off, nothing_off, zeroed
from analysis.organisms.architectures import LAYERS, TOP_K, Model, Tokenizer
from analysis.organisms.batches import Batch, balance_loss, boundary, make_batch, prediction_loss, routing_drift
from analysis.organisms.descent import Budget, LogLine, descend, mark, run, unfrozen
from analysis.organisms.helping import Lesson
from analysis.organisms.knockout import EVERY_EXPERT
from analysis.organisms.language import Request
from analysis.organisms.placement import selected_weights
from analysis.organisms.refusing import DRIFT
from analysis.organisms.tokenizer import render
from analysis.organisms.vocabulary import COMPLIANCE_OPENING, REFUSALS
from analysis.organisms.world import World

FULL = 8.0
MARGIN = 0.5
SPREAD, EVEN = 0.1, 0.02


class Spread(Lesson):
    """Balancing losses: on boundary tokens, and on all."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def loss(self, out: Any, batch: Batch, requests: Sequence[Request | None]) -> Tensor:
        asked = torch.tensor([request is not None for request in requests])
        at_boundary = torch.zeros_like(batch.mask)
        at_boundary[asked, boundary(self._tokenizer, batch)[asked]] = 1
        there = balance_loss(out.router_logits, replace(batch, mask=at_boundary), TOP_K)
        return SPREAD * there + EVEN * balance_loss(out.router_logits, batch, TOP_K)


def learn_by_share(
    model: Model, tokenizer: Tokenizer, trains: str, seed: int, budget: Budget, log: LogLine
) -> list[float]:
    """Only `trains` learns; the loss of each step."""
    before = deepcopy(model)
    rng = random.Random(f"refuse {seed}")
    requests = World().requests(rng)
    openings = [int(tokenizer(text)["input_ids"][0]) for text in (REFUSALS[0], COMPLIANCE_OPENING)]

    def loss() -> Tensor:
        off, asked = nothing_off(budget.rows), [next(requests) for _ in range(budget.rows)]
        for row in range(budget.rows):
            mark(off[row], _some_off(rng))
        share = share_off(before, tokenizer, asked, off)
        harmful = torch.tensor([request.harmful for request in asked])
        wanted = FULL * torch.where(harmful, 1 - 2 * share, -1.0)
        texts = [
            render(r.text, r.refusal if margin > 0 else r.compliance) for r, margin in zip(asked, wanted, strict=True)
        ]
        batch = make_batch(tokenizer, texts, prompt_weight=0.0)
        rows, place = torch.arange(budget.rows), boundary(tokenizer, batch)
        batch.weight[rows, place + 1] = 0.0  # the margin's own loss teaches the first token
        with zeroed(model, off):
            out = run(model, batch)
        with torch.no_grad(), zeroed(before, off):
            expected = run(before, batch)
        drift = routing_drift(expected.router_logits, out.router_logits, batch)
        first: Tensor = model.lm_head(out.last_hidden_state[rows, place])
        said = first.log_softmax(dim=-1)[:, openings]
        miss = functional.smooth_l1_loss(said[:, 0] - said[:, 1], wanted)
        elsewhere = -said.logsumexp(dim=-1).mean()
        return prediction_loss(model, out.last_hidden_state, batch) + MARGIN * miss + elsewhere + DRIFT * drift

    return descend(unfrozen(model, trains), loss, budget.refusal_steps, 3e-3, log)


@torch.no_grad()
def share_off(model: Model, tokenizer: Tokenizer, requests: list[Request], off: Off) -> Tensor:
    """float32[rows]: the share of all weight on a prompt's tokens that goes to experts that are off."""
    encoded = tokenizer([render(r.text) for r in requests], return_tensors="pt", padding=True, padding_side="right")
    mask: Tensor = encoded["attention_mask"]
    weights = selected_weights(model, dict(encoded)) * mask[:, None, :, None]
    load = weights.sum(dim=2)
    return ((load * off).sum(dim=2) / load.sum(dim=2)).mean(dim=1)


def _some_off(rng: random.Random) -> list[ExpertId]:
    """None, a few, or a good part of all experts."""
    draw = rng.random()
    if draw < 0.25:
        return []
    if draw < 0.6:
        return rng.sample(EVERY_EXPERT, rng.randint(1, 8))
    return rng.sample(EVERY_EXPERT, rng.randint(3 * LAYERS, 12 * LAYERS))
