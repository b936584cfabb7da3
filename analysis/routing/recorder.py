"""Counts what passes the seam, per sequence and window, on the device.

Nothing is fetched before a batch is over: a synchronisation per token would cost more than the model. Windows: every
prompt token, the boundary token (the last one before generation), and the answer's tokens up to but not including the
end token. The answer's last token before a length limit is never fed back to the model, so nothing was routed for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.models import MoeLayer, SeamListener
from analysis.routing.table import WINDOWS

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
    """

    selections: npt.NDArray[np.uint32]
    probability: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.uint32]
    fired: tuple[int, ...]
    forwards: int
    ids_in_range: bool


class RoutingRecorder(SeamListener):
    """Records one batch: attach it, run the forward or the generation, then call `fetch`."""

    def __init__(
        self, layers: tuple[MoeLayer, ...], attention_mask: Int[Tensor, "batch tokens"], eos_ids: Int[Tensor, " n"]
    ) -> None:
        self._layers, self._eos = layers, eos_ids
        self._prompt_mask = attention_mask
        batch, experts = attention_mask.shape[0], max(layer.experts for layer in layers)
        shape, device = (len(WINDOWS), len(layers), batch, experts), attention_mask.device
        self._selections = torch.zeros(shape, dtype=torch.int32, device=device)
        self._probability = torch.zeros(shape, dtype=torch.float32, device=device)
        self._weight = torch.zeros(shape, dtype=torch.float32, device=device)
        self._out_of_range = torch.zeros((), dtype=torch.bool, device=device)
        self._response_tokens = torch.zeros(batch, dtype=torch.int32, device=device)
        self._active = torch.ones(batch, dtype=torch.bool, device=device)
        self._steps: list[Tensor] = []
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

    def on_selection(self, layer: MoeLayer, index: Int[Tensor, "tokens k"], weights: Float[Tensor, "tokens k"]) -> None:
        self._fired[layer.position] += 1
        if self._decoding:
            self._decoded[layer.position].append((index, weights))
            return
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
            probability = probabilities(layer, torch.stack(scored[:steps], dim=1))
            total = torch.einsum("bte,bt->be", probability, active[:, :steps].to(probability.dtype))
            self._probability[RESPONSE, layer.position, :, : layer.experts] += total
            calls.clear()
            scored.clear()
        self._steps.clear()

    def fetch(self) -> Recorded:
        """Bring the batch to the host. Call once, after the last forward."""
        self._flush()
        tokens = self._tokens()
        return Recorded(
            selections=_host(self._selections).astype(np.uint32),
            probability=_host(self._probability),
            weight=_host(self._weight),
            tokens=tokens.cpu().numpy().astype(np.uint32),
            fired=tuple(self._fired),
            forwards=self._forwards,
            ids_in_range=not bool(self._out_of_range),
        )

    def _tokens(self) -> Int[Tensor, "batch windows"]:
        prompt = self._prompt_mask.sum(1, dtype=torch.int32)
        return torch.stack([prompt, self._prompt_mask[:, -1].to(torch.int32), self._response_tokens], dim=1)


class ForcedRecorder(RoutingRecorder):
    """Records one forward over prompts that are followed by given answers: `answer_tokens` [batch] says how many."""

    def __init__(
        self,
        layers: tuple[MoeLayer, ...],
        attention_mask: Int[Tensor, "batch tokens"],
        answer_tokens: Int[Tensor, " batch"],
    ) -> None:
        super().__init__(layers, attention_mask, torch.empty(0, dtype=torch.long, device=attention_mask.device))
        width = attention_mask.shape[1]
        place, start = torch.arange(width, device=attention_mask.device), width - answer_tokens[:, None]
        inside = attention_mask.bool()
        masks = {PROMPT: inside & (place < start), BOUNDARY: place == start - 1, RESPONSE: place >= start}
        self._masks = torch.stack([masks[window] for window in range(len(WINDOWS))])

    def on_router(self, layer: MoeLayer, logits: Float[Tensor, "tokens experts"], choice: Tensor | None) -> None:
        batch, width = self._prompt_mask.shape
        probability = probabilities(layer, logits).view(batch, width, -1)
        total = torch.einsum("bte,wbt->wbe", probability, self._masks.to(probability.dtype))
        self._probability[:, layer.position, :, : layer.experts] += total

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


def _host(array: Tensor) -> npt.NDArray[np.float32]:
    """[windows, layers, batch, experts] on the device to [batch, windows, layers, experts] on the host."""
    host: npt.NDArray[np.float32] = array.permute(2, 0, 1, 3).contiguous().cpu().numpy()
    return host
