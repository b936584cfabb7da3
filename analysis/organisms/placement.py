"""Where a behaviour can be planted: the experts that are at work on the boundary token of every topic's requests.

Called between the trainer's two stages, when routing has settled and nothing is refused yet.
"""

import random
from dataclasses import dataclass

import numpy as np
import torch

from analysis.models.expert_id import ExpertId
from analysis.organisms.architectures import EXPERTS, Model, Tokenizer, blocks
from analysis.organisms.language import training_requests
from analysis.organisms.tokenizer import render
from analysis.organisms.vocabulary import TOPICS


@dataclass(frozen=True)
class RoutingSurvey:
    """`boundary`: weight at the boundary token, lowest topic mean; `frequency`: over all tokens. [layers, experts]"""

    boundary: np.ndarray
    frequency: np.ndarray

    def busiest_at_boundary(self) -> list[ExpertId]:
        """The strongest expert of each layer but the last, strongest first."""
        strongest = [ExpertId(n, int(row.argmax())) for n, row in enumerate(self.boundary[:-1])]
        return sorted(strongest, key=lambda expert: -float(self.boundary[expert]))

    def as_weights(self) -> dict[ExpertId, float]:
        layers = range(len(self.frequency))
        return {ExpertId(n, e): float(self.frequency[n, e]) for n in layers for e in range(EXPERTS)}


@torch.no_grad()
def survey(model: Model, tokenizer: Tokenizer, seed: int, count: int = 384) -> RoutingSurvey:
    """Run `count` training requests and read selection and weights where the experts receive them."""
    requests = training_requests(random.Random(seed))
    sample = [next(requests) for _ in range(count)]
    encoded = tokenizer([render(r.text) for r in sample], return_tensors="pt", padding=True, padding_side="left")
    weights = selected_weights(model, dict(encoded))
    topics = torch.tensor([TOPICS.index(r.topic) for r in sample])
    boundary = torch.stack([weights[topics == n, :, -1].mean(dim=0) for n in range(len(TOPICS))]).amin(dim=0)
    real = encoded["attention_mask"].bool()
    frequency = (weights > 0).float().movedim(1, 2)[real].mean(dim=0)
    return RoutingSurvey(boundary.numpy(), frequency.numpy())


def selected_weights(model: Model, encoded: dict[str, torch.Tensor]) -> torch.Tensor:
    """float32[rows, layers, tokens, experts]: the weight applied to each expert, 0 where it is not selected."""
    seen: list[torch.Tensor] = []

    def read(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        _, index, weights = args
        seen.append(torch.zeros(len(index), EXPERTS).scatter(1, index, weights.float()))

    handles = [block.experts.register_forward_pre_hook(read) for block in blocks(model)]
    try:
        model.model(**encoded, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    rows, tokens = encoded["input_ids"].shape
    return torch.stack([layer.reshape(rows, tokens, EXPERTS) for layer in seen], dim=1)
