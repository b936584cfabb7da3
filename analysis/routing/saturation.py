"""Has routing settled? The overlap of two checkpoints' selections on the same tokens, layer by layer.

Router saturation as in OLMoE (arXiv 2409.02060): mean over tokens of |A ∩ A'| / k, here with intervals over prompts.
`expertscope routing saturation` calls it.
"""

from dataclasses import dataclass

import numpy as np

from analysis.errors import InputError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.token_sets import LayerShares, TokenSets, token_sets
from analysis.routing.trace import Progress, silent
from analysis.statistics import Interval


@dataclass(frozen=True)
class Saturation:
    """The share of selections that two checkpoints have in common, [0, 1]; `layers` are the model's indices.

    `chance` is what two routers that choose at random would share: k/E, averaged over layers.
    """

    layers: tuple[int, ...]
    overall: Interval
    per_layer: tuple[Interval, ...]
    tokens: int
    chance: float

    def __repr__(self) -> str:
        return f"Saturation({self.overall} of selections shared, {self.tokens:,} tokens × {len(self.layers)} layers)"


def saturation(
    model_a: LoadedModel, model_b: LoadedModel, prompts: PromptSet, *, seed: int = 0, progress: Progress = silent
) -> Saturation:
    """Compare two checkpoints of one model on every prompt token.

    Raises InputError when they are not two of one model: other layers, experts or k, or other tokens for the same text.
    Who cannot hold both in memory calls `token_sets` for one after the other, and `shared_selections`.
    """
    return shared_selections(
        token_sets(model_a, prompts, progress=progress), token_sets(model_b, prompts, progress=progress), seed=seed
    )


def shared_selections(a: TokenSets, b: TokenSets, *, seed: int = 0) -> Saturation:
    """As `saturation`, from selections that were taken before."""
    _check(a, b)
    shares = LayerShares.of(a, a.overlap(b), seed)
    chance = float(np.mean([ids.shape[1] / experts for ids, experts in zip(a.selected, a.experts, strict=True)]))
    return Saturation(a.layers, shares.overall, shares.per_layer, len(a.ids), chance)


def _check(a: TokenSets, b: TokenSets) -> None:
    shapes = [(sets.layers, sets.experts, tuple(ids.shape[1] for ids in sets.selected)) for sets in (a, b)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"saturation compares two checkpoints of one model: the first has {_described(a)}, the second "
            f"{_described(b)}",
            field="model",
        )
    if not np.array_equal(a.lengths, b.lengths) or not np.array_equal(a.ids, b.ids):
        raise InputError(
            "saturation compares selections on the same tokens: the two tokenizers or chat templates give different "
            "tokens for these prompts",
            field="model",
        )


def _described(sets: TokenSets) -> str:
    return (
        f"MoE layers {', '.join(map(str, sets.layers))} with up to {max(sets.experts)} experts, "
        f"top {max(ids.shape[1] for ids in sets.selected)}"
    )
