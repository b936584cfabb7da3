"""Keeps which experts single tokens were sent to, and with what weight, for some sequences of a batch.

The recorder hands over what it saw at the seam; nothing is derived a second time, and nothing is fetched before the
batch is over. `token_trace` gives the result its texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.models import MoeLayer
from analysis.routing.token_trace import NO_EXPERT

BYTES_PER_CHOICE = 4
"""Two for the id and two for the weight."""


@dataclass(frozen=True)
class KeptTokens:
    """One sequence: `tokens` are its ids, of which the first `prompt` are the prompt, template included.

    `ids` and `weights` are [layers, tokens, k]. The last token of an answer that was cut off was generated and never
    routed: it has NO_EXPERT and weight 0 everywhere.
    """

    tokens: tuple[int, ...]
    prompt: int
    ids: npt.NDArray[np.uint16]
    weights: npt.NDArray[np.float16]


@dataclass(frozen=True)
class KeptBatch:
    """What some `places` of a left-padded batch did: arrays [layers, places, tokens, k], pads and all."""

    places: tuple[int, ...]
    prompt_ids: npt.NDArray[np.uint16]
    prompt_weights: npt.NDArray[np.float16]
    answer_ids: npt.NDArray[np.uint16]
    answer_weights: npt.NDArray[np.float16]

    def sequence(self, number: int, prompt: Sequence[int], answer: Sequence[int], fed: int) -> KeptTokens:
        """The sequence at `places[number]`. `prompt` are its token ids; `answer` the generated ones up to the end
        token, which is left out, of which the first `fed` were given back to the model.
        """
        routed = [
            np.concatenate([whole[:, number, whole.shape[2] - len(prompt) :], said[:, number, :fed]], axis=1)
            for whole, said in ((self.prompt_ids, self.answer_ids), (self.prompt_weights, self.answer_weights))
        ]
        unrouted = ((0, 0), (0, len(answer) - fed), (0, 0))
        ids = np.pad(routed[0], unrouted, constant_values=NO_EXPERT)
        return KeptTokens((*prompt, *answer), len(prompt), ids, np.pad(routed[1], unrouted))


class TokenKeeper:
    """Collects on the device what the recorder passes on, for the sequences at `places` of the batch."""

    def __init__(self, layers: Sequence[MoeLayer], places: Sequence[int], device: torch.device) -> None:
        self._layers, self._places = len(layers), tuple(places)
        self._rows = torch.tensor(self._places, device=device)
        self._prompt: list[tuple[Tensor, Tensor, Tensor]] = []
        self._answer: list[list[tuple[Tensor, Tensor]]] = [[] for _ in layers]

    def add_prompt(
        self,
        positions: Int[Tensor, " layers"],
        index: Int[Tensor, "layers batch t k"],
        weights: Float[Tensor, "layers batch t k"],
    ) -> None:
        """The prompts of the MoE layers at `positions`, which have one k in common."""
        self._prompt.append((positions, *self._chosen(index, weights, 1)))

    def add_answer(self, position: int, index: Int[Tensor, "batch t k"], weights: Float[Tensor, "batch t k"]) -> None:
        """Further tokens of the answers, of one layer."""
        self._answer[position].append(self._chosen(index, weights, 0))

    def _chosen(self, index: Tensor, weights: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        rows = self._rows
        return index.index_select(axis, rows).to(torch.int16), weights.index_select(axis, rows).to(torch.float16)

    def fetch(self) -> KeptBatch:
        """Bring everything to the host. Call once, after the last forward."""
        prompt = {
            int(position): (ids[i], weights[i])
            for positions, ids, weights in self._prompt
            for i, position in enumerate(positions.tolist())
        }
        answer = {
            position: (torch.cat([ids for ids, _ in calls], 1), torch.cat([weights for _, weights in calls], 1))
            for position, calls in enumerate(self._answer)
            if calls
        }
        k = max((ids.shape[-1] for ids, _ in prompt.values()), default=0)
        return KeptBatch(self._places, *self._joined(prompt, k), *self._joined(answer, k))

    def _joined(
        self, calls: dict[int, tuple[Tensor, Tensor]], k: int
    ) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float16]]:
        """[layers, places, tokens, k]. A layer that was not called is for the certificate to refuse."""
        steps = max((ids.shape[1] for ids, _ in calls.values()), default=0)
        shape = (self._layers, len(self._places), steps, k)
        joined = np.full(shape, NO_EXPERT, dtype=np.uint16), np.zeros(shape, dtype=np.float16)
        for position, call in calls.items():
            for whole, part in zip(joined, call, strict=True):
                whole[position, :, : part.shape[1], : part.shape[2]] = part.cpu().numpy().view(whole.dtype)
        return joined
