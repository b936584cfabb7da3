"""Which experts every single token was sent to: kept for the few prompts whose order of tokens matters.

A trace keeps counts per prompt, since ids per token would be many times larger. Called by the audit for the part of the
discovery half that the `lobotomy` criterion reads as sequences, and by `token_sets` for comparisons of routings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from analysis.models import LoadedModel, MoeLayer, SeamListener
from analysis.prompts.prompt_set import Prompt
from analysis.routing.encoding import Batch, batches, encode
from analysis.routing.trace import Progress, silent
from analysis.shards import Shard

Ids = npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class SelectedIds:
    """`ids` [tokens, MoE layers, top_k] of all prompts, one after the other; `lengths` [prompts] says where each ends.

    `experts` is one past the last id; it stands in the places that a layer with a smaller k leaves empty. The dtype is
    the smallest one that holds it.
    """

    ids: Ids
    lengths: npt.NDArray[np.int64]
    experts: int

    def prompts(self) -> list[Ids]:
        """One array [tokens, MoE layers, top_k] for each prompt."""
        return np.split(self.ids, np.cumsum(self.lengths)[:-1])

    def to_shard(self) -> Shard:
        return Shard({"ids": self.ids, "lengths": self.lengths}, {"experts": self.experts})

    @classmethod
    def from_shard(cls, shard: Shard) -> "SelectedIds":
        return cls(shard.arrays["ids"], shard.arrays["lengths"], shard.meta["experts"])


@torch.inference_mode()
def selected_ids(
    model: LoadedModel,
    prompts: Sequence[Prompt],
    *,
    batch_tokens: int,
    last_tokens: int | None = None,
    batch_prompts: int = 64,
    progress: Progress = silent,
) -> SelectedIds:
    """The selections of each prompt's last `last_tokens` tokens (None: all), chat template included, in the order of
    `prompts`, run in batches of at most `batch_prompts`.
    """
    found: dict[int, Ids] = {}
    encoded = encode(model, prompts)
    for batch in batches(model, encoded, batch_tokens=batch_tokens, batch_prompts=batch_prompts):
        progress("routing", len(found), len(encoded))
        keeper = _IdKeeper(batch, model.description.experts, last_tokens)
        with model.seam.attach(keeper):
            model.model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=1, use_cache=False
            )
        found.update(zip(batch.rows, keeper.fetch(), strict=True))
    progress("routing", len(encoded), len(encoded))
    ordered = [found[row] for row in range(len(prompts))]
    lengths = np.array([len(one) for one in ordered], dtype=np.int64)
    return SelectedIds(np.concatenate(ordered), lengths, model.description.experts)


class _IdKeeper(SeamListener):
    """Keeps one forward's selections on the device until `fetch`."""

    def __init__(self, batch: Batch, experts: int, last_tokens: int | None) -> None:
        self._last = slice(None if last_tokens is None else -last_tokens, None)
        self._mask, self._experts = batch.attention_mask[:, self._last], experts
        self._shape = batch.input_ids.shape
        self._kept: dict[int, Int[Tensor, "batch t k"]] = {}

    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> None:
        self._kept[layer.position] = index.view(*self._shape, -1)[:, self._last]

    def fetch(self) -> list[Ids]:
        """[tokens, MoE layers, top_k] of each prompt, pads left out."""
        most = max(index.shape[-1] for index in self._kept.values())
        layers = [self._widened(self._kept[position], most) for position in sorted(self._kept)]
        ids = torch.stack(layers, dim=2).cpu().numpy().astype(np.min_scalar_type(self._experts))
        return [row[keep] for row, keep in zip(ids, self._mask.cpu().numpy().astype(bool), strict=True)]

    def _widened(self, index: Tensor, most: int) -> Tensor:
        return torch.nn.functional.pad(index, (0, most - index.shape[-1]), value=self._experts)
