"""Counts what passes the seam, per sequence and window, on the device.

Nothing is fetched before a batch is over: a synchronisation per token would cost more than the model. Windows: every
prompt token, the boundary token (the last one before generation), and the answer's tokens up to but not including the
end token. The answer's last token before a length limit is never fed back to the model, so nothing was routed for it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.models import MoeLayer, SeamListener
from analysis.routing.coactivation import countable
from analysis.routing.pair_counter import PairCounter
from analysis.routing.sparse import SparseCounts
from analysis.routing.table import WINDOWS
from analysis.routing.token_keeper import KeptBatch, TokenKeeper

PROMPT, BOUNDARY, RESPONSE = range(len(WINDOWS))
_FLUSH_STEPS = 32
_SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "sqrtsoftplus": lambda logits: torch.nn.functional.softplus(logits).sqrt(),
    "probability": lambda probabilities: probabilities,
}


@dataclass(frozen=True)
class Recorded:
    """What one batch did: selections, router probability and applied weight, each summed over a window's tokens.

    Arrays are [batch, windows, layers, experts]; `tokens` is [batch, windows]; `fired` counts hook calls per layer.
    `entropy` [batch, windows, layers] sums each token's −Σ π log2 π. `top_expert` [layers, batch, prompt tokens] is the
    expert with the highest applied weight (anything at a pad). `pairs` counts [pair windows, layers, experts, experts]
    above the diagonal, None for a model with too many. `kept` has the single tokens of sequences that were asked for.
    """

    selections: npt.NDArray[np.uint32]
    probability: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.uint32]
    fired: tuple[int, ...]
    forwards: int
    ids_in_range: bool
    entropy: npt.NDArray[np.float32]
    top_expert: npt.NDArray[np.int32]
    pairs: SparseCounts | None
    kept: KeptBatch | None = None


class RoutingRecorder(SeamListener):
    """Records one batch: attach it, run the forward or the generation, then call `fetch`.

    `keep` are places in the batch whose single tokens are kept as well.
    """

    def __init__(
        self,
        layers: tuple[MoeLayer, ...],
        attention_mask: Int[Tensor, "batch tokens"],
        eos_ids: Int[Tensor, " n"],
        *,
        pairs: bool = True,
        keep: Sequence[int] = (),
    ) -> None:
        self._layers, self._eos = layers, eos_ids
        self._prompt_mask = attention_mask
        batch, experts = attention_mask.shape[0], max(layer.experts for layer in layers)
        shape, device = (len(WINDOWS), len(layers), batch, experts), attention_mask.device
        self._selections = torch.zeros(shape, dtype=torch.int32, device=device)
        self._probability = torch.zeros(shape, dtype=torch.float32, device=device)
        self._weight = torch.zeros(shape, dtype=torch.float32, device=device)
        self._entropy = torch.zeros(shape[:-1], dtype=torch.float32, device=device)
        self._pairs = PairCounter(layers, device) if pairs and countable(len(layers), experts) else None
        self._keeper = TokenKeeper(layers, keep, device) if keep else None
        self._out_of_range = torch.zeros((), dtype=torch.bool, device=device)
        self._response_tokens = torch.zeros(batch, dtype=torch.int32, device=device)
        self._active = torch.ones(batch, dtype=torch.bool, device=device)
        self._steps: list[Tensor] = []
        self._prompted: dict[int, tuple[Tensor, Tensor]] = {}
        self._decoded: list[list[tuple[Tensor, Tensor]]] = [[] for _ in layers]
        self._decoded_logits: list[list[Tensor]] = [[] for _ in layers]
        self._fired = [0] * len(layers)
        self._forwards = 0
        self._decoding = False

    def on_forward(self, phase: str, input_ids: Tensor) -> None:
        self._forwards += 1
        self._decoding = phase == "decode"
        if self._decoding:
            if len(self._steps) == _FLUSH_STEPS:
                self._flush()
            self._active = self._active & ~torch.isin(input_ids[:, -1], self._eos)
            self._steps.append(self._active)

    def on_router(self, layer: MoeLayer, logits: Float[Tensor, "tokens experts"], choice: Tensor | None) -> None:
        if self._decoding:
            self._decoded_logits[layer.position].append(logits)
            return
        batch, width = self._prompt_mask.shape
        probability = probabilities(layer, logits).view(batch, width, -1)
        target = self._probability[:, layer.position, :, : layer.experts]
        target[PROMPT] += torch.einsum("bte,bt->be", probability, self._prompt_mask.to(probability.dtype))
        target[BOUNDARY] += probability[:, -1]
        bits = entropy_bits(probability)
        self._entropy[PROMPT, layer.position] += torch.einsum("bt,bt->b", bits, self._prompt_mask.to(bits.dtype))
        self._entropy[BOUNDARY, layer.position] += bits[:, -1]

    def on_selection(self, layer: MoeLayer, index: Int[Tensor, "tokens k"], weights: Float[Tensor, "tokens k"]) -> None:
        self._fired[layer.position] += 1
        if self._decoding:
            self._decoded[layer.position].append((index, weights))
            return
        self._prompted[layer.position] = (index, weights)
        batch, width = self._prompt_mask.shape
        index, weights = index.view(batch, width, -1), weights.view(batch, width, -1)
        self._add(PROMPT, layer, index, weights, self._prompt_mask)
        self._add(BOUNDARY, layer, index[:, -1:], weights[:, -1:], self._prompt_mask[:, -1:])

    def _add(
        self,
        window: int,
        layer: MoeLayer,
        index: Int[Tensor, "batch t k"],
        weights: Float[Tensor, "batch t k"],
        mask: Tensor,
    ) -> None:
        """Add the tokens that `mask` [batch, t] keeps; its zeros (pads, finished answers) add nothing."""
        self._out_of_range |= ((index < 0) | (index >= layer.experts)).any()
        flat = index.clamp(0, layer.experts - 1).flatten(1)
        keep = mask[:, :, None].expand_as(index).flatten(1)
        self._selections[window, layer.position].scatter_add_(1, flat, keep.to(torch.int32))
        self._weight[window, layer.position].scatter_add_(1, flat, (weights.flatten(1) * keep).float())

    def _flush(self) -> None:
        """Add the decoded steps that were only kept by reference so far."""
        if not self._steps:
            return
        active = torch.stack(self._steps, dim=1).int()
        self._response_tokens += active.sum(1, dtype=torch.int32)
        for layer in self._layers:
            # A layer not called once a step is for the certificate to refuse, not for an index to crash on.
            calls, scored = self._decoded[layer.position], self._decoded_logits[layer.position]
            steps = min(len(calls), len(scored), active.shape[1])
            if steps == 0:
                continue
            index, weights = (torch.stack([call[i] for call in calls[:steps]], dim=1) for i in (0, 1))
            self._add(RESPONSE, layer, index, weights, active[:, :steps])
            if self._keeper is not None:
                self._keeper.add_answer(layer.position, index, weights)
            if self._pairs is not None:
                place = torch.tensor([layer.position], device=index.device)
                known = index.clamp(0, layer.experts - 1).flatten(0, 1)[None]
                self._pairs.add("response", place, known, active[:, :steps].flatten())
            probability = probabilities(layer, torch.stack(scored[:steps], dim=1))
            total = torch.einsum("bte,bt->be", probability, active[:, :steps].to(probability.dtype))
            self._probability[RESPONSE, layer.position, :, : layer.experts] += total
            bits = entropy_bits(probability)
            self._entropy[RESPONSE, layer.position] += torch.einsum("bt,bt->b", bits, active[:, :steps].to(bits.dtype))
            calls.clear()
            scored.clear()
        self._steps.clear()

    def _count_prompt(self) -> Int[Tensor, "layers batch t"]:
        """Count the prompt's pairs and find every token's first expert, for all layers with one k at once: a handful of
        kernels for each layer would be felt beside a small forward.
        """
        batch, width = self._prompt_mask.shape
        shape = (len(self._layers), batch * width)
        top = torch.full(shape, -1, dtype=torch.int32, device=self._prompt_mask.device)
        for k in {index.shape[-1] for index, _ in self._prompted.values()}:
            calls = {position: call for position, call in self._prompted.items() if call[0].shape[-1] == k}
            positions = torch.tensor(list(calls), device=top.device)
            index = torch.stack([index for index, _ in calls.values()]).long()
            weights = torch.stack([weights for _, weights in calls.values()])
            index = index.clamp(0, self._selections.shape[-1] - 1)
            top[positions] = index.gather(-1, weights.argmax(-1, keepdim=True)).squeeze(-1).int()
            if self._pairs is not None:
                self._pairs.add("prompt", positions, index, self._prompt_mask.flatten())
            if self._keeper is not None:
                by_sequence = (len(calls), batch, width, k)
                self._keeper.add_prompt(positions, index.view(by_sequence), weights.view(by_sequence))
        self._prompted.clear()
        return top.view(len(self._layers), batch, width)

    def fetch(self) -> Recorded:
        """Bring the batch to the host. Call once, after the last forward."""
        self._flush()
        top_expert = self._count_prompt()
        tokens = self._tokens()
        return Recorded(
            selections=_host(self._selections).astype(np.uint32),
            probability=_host(self._probability),
            weight=_host(self._weight),
            tokens=tokens.cpu().numpy().astype(np.uint32),
            fired=tuple(self._fired),
            forwards=self._forwards,
            ids_in_range=not bool(self._out_of_range),
            entropy=self._entropy.permute(2, 0, 1).contiguous().cpu().numpy(),
            top_expert=top_expert.cpu().numpy(),
            pairs=self._pairs.fetch() if self._pairs is not None else None,
            kept=self._keeper.fetch() if self._keeper is not None else None,
        )

    def _tokens(self) -> Int[Tensor, "batch windows"]:
        prompt = self._prompt_mask.sum(1, dtype=torch.int32)
        return torch.stack([prompt, self._prompt_mask[:, -1].to(torch.int32), self._response_tokens], dim=1)


class ForcedRecorder(RoutingRecorder):
    """Records one forward over prompts that are followed by given answers: `answer_tokens` [batch] says how many.

    Pairs and first experts are left out: the prompts' own trace has them.
    """

    def __init__(
        self,
        layers: tuple[MoeLayer, ...],
        attention_mask: Int[Tensor, "batch tokens"],
        answer_tokens: Int[Tensor, " batch"],
    ) -> None:
        no_end = torch.empty(0, dtype=torch.long, device=attention_mask.device)
        super().__init__(layers, attention_mask, no_end, pairs=False)
        width = attention_mask.shape[1]
        place, start = torch.arange(width, device=attention_mask.device), width - answer_tokens[:, None]
        inside = attention_mask.bool()
        masks = {PROMPT: inside & (place < start), BOUNDARY: place == start - 1, RESPONSE: place >= start}
        self._masks = torch.stack([masks[window] for window in range(len(WINDOWS))])

    def on_router(self, layer: MoeLayer, logits: Float[Tensor, "tokens experts"], choice: Tensor | None) -> None:
        batch, width = self._prompt_mask.shape
        probability = probabilities(layer, logits).view(batch, width, -1)
        masks = self._masks.to(probability.dtype)
        self._probability[:, layer.position, :, : layer.experts] += torch.einsum("bte,wbt->wbe", probability, masks)
        self._entropy[:, layer.position] += torch.einsum("bt,wbt->wb", entropy_bits(probability), masks)

    def on_selection(self, layer: MoeLayer, index: Int[Tensor, "tokens k"], weights: Float[Tensor, "tokens k"]) -> None:
        self._fired[layer.position] += 1
        batch, width = self._prompt_mask.shape
        index, weights = index.view(batch, width, -1), weights.view(batch, width, -1)
        for window, mask in enumerate(self._masks):
            self._add(window, layer, index, weights, mask)

    def _tokens(self) -> Int[Tensor, "batch windows"]:
        return self._masks.sum(-1, dtype=torch.int32).T


def probabilities(layer: MoeLayer, logits: Float[Tensor, "*tokens experts"]) -> Float[Tensor, "*tokens experts"]:
    """π over all experts, summing to 1: softmax, or for other score functions the scores divided by their sum."""
    if layer.scoring == "softmax":
        return logits.float().softmax(-1)
    scores = _SCORES[layer.scoring](logits.float())
    return scores / scores.sum(-1, keepdim=True)


def entropy_bits(probability: Float[Tensor, "*tokens experts"]) -> Float[Tensor, "*tokens"]:
    """−Σ π log2 π of every token, with 0 log 0 = 0."""
    nats: Tensor = torch.special.entr(probability).sum(-1)
    return nats / math.log(2)


def _host(array: Tensor) -> npt.NDArray[np.float32]:
    """[windows, layers, batch, experts] on the device to [batch, windows, layers, experts] on the host."""
    host: npt.NDArray[np.float32] = array.permute(2, 0, 1, 3).contiguous().cpu().numpy()
    return host
