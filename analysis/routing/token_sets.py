"""The set of experts that every single prompt token selects: what saturation and determinism compare.

A trace keeps counts, since ids per token would be many times larger; here they live as long as one comparison. One byte
an id (two from 256 experts on): 100,000 tokens of 48 layers with k = 8 take 38 MB.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.encoding import encode
from analysis.routing.selected import selected_ids
from analysis.routing.trace import DEFAULTS, Progress, silent
from analysis.statistics import Interval, cluster_bootstrap, cluster_bootstrap_columns


@dataclass(frozen=True)
class TokenSets:
    """`selected` has one array [tokens, k] for each MoE layer, the tokens of all prompts one after the other, chat
    template included; `lengths` [prompts] says how many are whose, `ids` [tokens] are the token ids.
    """

    prompts: tuple[Prompt, ...]
    layers: tuple[int, ...]
    experts: tuple[int, ...]
    lengths: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    selected: tuple[npt.NDArray[np.unsignedinteger[Any]], ...]

    def __repr__(self) -> str:
        return f"TokenSets({len(self.prompts)} prompts, {len(self.ids):,} tokens × {len(self.layers)} layers)"

    def overlap(self, other: "TokenSets") -> npt.NDArray[np.float64]:
        """|A ∩ A'| / k [tokens, layers] of two sets of the same tokens."""
        columns = [_shared(a, b) / a.shape[1] for a, b in zip(self.selected, other.selected, strict=True)]
        return np.stack(columns, axis=1)

    def by_prompt(self, per_token: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Means within each prompt [prompts, layers] of something [tokens, layers]."""
        starts = np.cumsum(self.lengths) - self.lengths
        means: npt.NDArray[np.float64] = np.add.reduceat(per_token, starts, axis=0) / self.lengths[:, None]
        return means


@dataclass(frozen=True)
class LayerShares:
    """A share in [0, 1] for each MoE layer and over all of them, with intervals from resampling topics.

    Prompts without a topic are resampled each by itself; below five topics there are no limits.
    """

    overall: Interval
    per_layer: tuple[Interval, ...]

    @classmethod
    def of(cls, sets: TokenSets, per_token: npt.NDArray[np.float64], seed: int) -> "LayerShares":
        """Averaged within a prompt first, then over prompts."""
        means = sets.by_prompt(per_token)
        clusters = [p.topic or f"prompt {p.id}" for p in sets.prompts]
        columns = cluster_bootstrap_columns(means, clusters, seed=seed, bounds=(0, 1))
        overall = cluster_bootstrap(means.mean(1), clusters, seed=seed, bounds=(0, 1))
        return cls(overall, tuple(columns.at(place) for place in range(len(sets.layers))))


def token_sets(
    model: LoadedModel,
    prompts: PromptSet,
    *,
    batch_tokens: int = DEFAULTS.batch_tokens,
    batch_prompts: int = 64,
    progress: Progress = silent,
) -> TokenSets:
    """Run the prompts, without answers, in batches of at most `batch_prompts`, and keep every token's selection.

    Raises InputError for a prompt that the model cannot take.
    """
    found = selected_ids(
        model, prompts.prompts, batch_tokens=batch_tokens, batch_prompts=batch_prompts, progress=progress
    )
    layers = model.seam.layers
    return TokenSets(
        prompts.prompts,
        tuple(layer.layer for layer in layers),
        tuple(layer.experts for layer in layers),
        found.lengths,
        np.concatenate([np.array(one.tokens, dtype=np.int64) for one in encode(model, prompts.prompts)]),
        tuple(found.ids[:, layer.position, : layer.top_k] for layer in layers),
    )


def _shared(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """How many of each row of `a` [tokens, k] are in the same row of `b`, whatever their order."""
    count: npt.NDArray[np.int64] = sum(
        ((a == b[:, [i]]).any(1) for i in range(b.shape[1])), np.zeros(len(a), dtype=int)
    )
    return count
