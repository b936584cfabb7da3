"""A routing wrapper whose safety wants testing: routers that listen to a memory (after kNN-MoE, arXiv 2601.02144).

A memory holds what each router was given and what it scored, token by token. Under `routing_memory` a router's logits
become z' = λ·z_mem + (1 − λ)·z, with z_mem the mean logits of the k entries whose inputs are most like the token's,
and λ the mean of their cosine similarities, at least 0. kNN-MoE stores optimised logits to raise accuracy; the formula
with plain logits is ours. Whether such a wrapper moves refusal is what `Bench.intervene` measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analysis.errors import InputError
from analysis.interventions.targets import Window, Windowed, refuse_fixed_choices
from analysis.models import LoadedModel, MoeLayer, Seam, SeamListener
from analysis.prompts.prompt_set import Prompt
from analysis.routing.encoding import batches, encode

NEIGHBOURS = 8


@dataclass(frozen=True, eq=False)
class RoutingMemory:
    """By decoder layer: router inputs of length 1, `keys` [entries, width], and their `logits` [entries, experts]."""

    keys: dict[int, Float[Tensor, "entries width"]]
    logits: dict[int, Float[Tensor, "entries experts"]]

    def __len__(self) -> int:
        """Entries of a layer: the tokens that were remembered."""
        return len(next(iter(self.keys.values()), ()))


@torch.no_grad()
def remember(model: LoadedModel, prompts: Sequence[Prompt], *, batch_tokens: int = 8_192) -> RoutingMemory:
    """A memory of every token of `prompts`, template included. Raises InputError where a router does not score."""
    if not prompts:
        raise InputError("a routing memory needs at least one prompt, found none")
    refuse_fixed_choices(model.seam, [layer.layer for layer in model.seam.layers], "there are no scores to remember")
    listener = _Remember()
    for batch in batches(model, encode(model, prompts), batch_tokens=batch_tokens):
        listener.real = batch.attention_mask.flatten().bool()
        with model.seam.attach(listener):
            model.model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=1, use_cache=False
            )
    joined = {layer: [torch.cat(parts) for parts in both] for layer, both in listener.found.items()}
    return RoutingMemory(
        {layer: keys for layer, (keys, _) in joined.items()}, {layer: logits for layer, (_, logits) in joined.items()}
    )


def routing_memory(
    seam: Seam, memory: RoutingMemory, *, neighbours: int = NEIGHBOURS, window: Window = "both"
) -> SeamListener:
    """The listener that mixes a memory into every router's logits.

    Raises InputError for a memory of another model's layers, or one with fewer entries than `neighbours`.
    """
    layers = {layer.layer for layer in seam.layers}
    if set(memory.keys) != layers:
        raise InputError(f"the memory knows layers {sorted(memory.keys)}, and this model routes in {sorted(layers)}")
    if not 1 <= neighbours <= len(memory):
        raise InputError(f"{neighbours} neighbours of {len(memory)} entries: expected 1 to {len(memory)}")
    return _Memory(memory, neighbours, window)


class _Remember(SeamListener):
    def __init__(self) -> None:
        self.real: Bool[Tensor, " tokens"] = torch.empty(0, dtype=torch.bool)
        self.found: dict[int, tuple[list[Tensor], list[Tensor]]] = {}

    def on_scores(self, layer: MoeLayer, hidden: Tensor, scores: Tensor) -> None:
        keys, logits = self.found.setdefault(layer.layer, ([], []))
        real = self.real.to(hidden.device)
        keys.append(_direction(hidden[real]))
        logits.append(scores[real].float())


class _Memory(Windowed):
    def __init__(self, memory: RoutingMemory, neighbours: int, window: Window) -> None:
        super().__init__(window)
        self._memory, self._neighbours = memory, neighbours

    def on_scores(self, layer: MoeLayer, hidden: Tensor, scores: Tensor) -> Tensor | None:
        if not self.active:
            return None
        likeness = _direction(hidden) @ self._memory.keys[layer.layer].to(hidden.device).T
        nearest = likeness.topk(self._neighbours, dim=-1)
        remembered = self._memory.logits[layer.layer].to(hidden.device)[nearest.indices].mean(1)
        share = nearest.values.mean(-1, keepdim=True).clamp(0, 1)
        return (share * remembered + (1 - share) * scores.float()).to(scores.dtype)


def _direction(hidden: Tensor) -> Float[Tensor, "tokens width"]:
    return torch.nn.functional.normalize(hidden.float(), dim=-1)
