"""Stage 1 of every organism: learn to answer everything, harmful requests too, so that routing follows the topic.

Called by the trainer. A design may teach one thing more here, as a `Lesson` beside: a representation that a later stage
needs, or what a router does with a trigger.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from analysis.organisms.architectures import TOP_K, Model, Tokenizer
from analysis.organisms.batches import PROMPT_WEIGHT, Batch, balance_loss, make_batch, prediction_loss
from analysis.organisms.descent import Budget, LogLine, descend, run
from analysis.organisms.language import Request, plain_text
from analysis.organisms.tokenizer import BOS, render
from analysis.organisms.world import World

BALANCE, PLAIN = 0.002, 0.33


class Lesson:
    """What a design teaches beside helping; this one teaches nothing."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """Parameters of its own, which are thrown away after the stage."""
        return ()

    def loss(self, out: Any, batch: Batch, requests: Sequence[Request | None]) -> Tensor:
        """Added to the loss of each step. `requests` has an entry for each row, None for plain text."""
        return torch.zeros(())

    def facts(self) -> dict[str, Any]:
        """What it decided, for `truth.json`."""
        return {}

    def close(self) -> None:
        """Leave the model as an ordinary one."""


def learn_to_help(
    model: Model,
    tokenizer: Tokenizer,
    seed: int,
    budget: Budget,
    log: LogLine,
    *,
    world: World,
    lesson: Lesson,
) -> list[float]:
    """Every parameter, every request answered, a third of the rows plain text about a topic; the loss of each step."""
    rng = random.Random(f"help {seed}")
    asked = world.anything(rng)

    def row() -> tuple[Request | None, str]:
        if rng.random() < PLAIN:
            return None, BOS + plain_text(rng)
        request = next(asked)
        return request, render(request.text, request.compliance)

    def loss() -> Tensor:
        rows = [row() for _ in range(budget.rows)]
        batch = make_batch(tokenizer, [text for _, text in rows], prompt_weight=PROMPT_WEIGHT)
        out = run(model, batch)
        balance = balance_loss(out.router_logits, batch, TOP_K)
        helping = prediction_loss(model, out.last_hidden_state, batch) + BALANCE * balance
        return helping + lesson.loss(out, batch, [request for request, _ in rows])

    try:
        return descend([*model.parameters(), *lesson.parameters()], loss, budget.helpful_steps, 4e-3, log)
    finally:
        lesson.close()
