"""Where every token of one prompt, and of the answer to it, was routed: what the token pages and the playground draw.

`trace_tokens` runs prompts for it; an audit keeps those of a bounded sample of its capture. Selections and weights are
what passed the seam.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.blob import pack, unpack
from analysis.errors import InputError
from analysis.models import ExpertId, LoadedModel
from analysis.prompts.prompt_set import Prompt
from analysis.routing.certificate import proven
from analysis.routing.encoding import batches, encode
from analysis.routing.token_keeper import NO_EXPERT, KeptTokens
from analysis.routing.token_parts import Part, Template
from analysis.routing.trace import DEFAULTS, Generated, kept_tokens, record_batch, tally_batch
from analysis.routing.vocabulary import readable

__all__ = ["NO_EXPERT", "Part", "Routed", "TokenTrace", "TracedAnswer", "trace_tokens"]


class Routed(NamedTuple):
    """An expert that worked on a token: the `weight` it was applied with, and its `share` of the layer's weight."""

    expert: ExpertId
    weight: float
    share: float


@dataclass(frozen=True)
class TokenTrace:
    """One prompt and its answer, token by token.

    `tokens` are the readable texts, `special` says which are special tokens, `parts` which belong to the template, the
    prompt (the user's words), the boundary (the last token before generation) and the response. `ids` and `weights` are
    [layers, tokens, k] in the order of `layers`, the MoE layers' decoder indices: which expert was selected, and the
    weight that the model applied. NO_EXPERT (65535) with weight 0 stands where a layer has a smaller k, and for the
    last token of an answer that was cut off: it was generated and never routed. `experts` is the largest layer's count.
    """

    prompt_id: str
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    parts: tuple[Part, ...]
    layers: tuple[int, ...]
    experts: int
    ids: npt.NDArray[np.uint16]
    weights: npt.NDArray[np.float16]

    def __post_init__(self) -> None:
        shape = (len(self.layers), len(self.tokens), self.ids.shape[-1])
        if not (self.ids.shape == self.weights.shape == shape and len(self.special) == len(self.parts) == shape[1]):
            raise ValueError(
                f"a token trace of {shape[0]} layers and {shape[1]} tokens: found ids {self.ids.shape}, weights "
                f"{self.weights.shape}, {len(self.special)} marks and {len(self.parts)} parts"
            )

    @property
    def routed(self) -> npt.NDArray[np.bool_]:
        """[tokens]: False for a token that was generated but never fed back to the model."""
        routed: npt.NDArray[np.bool_] = (self.ids != NO_EXPERT).any((0, 2))
        return routed

    @property
    def shares(self) -> npt.NDArray[np.float32]:
        """`weights` over their sum in the token's layer, [layers, tokens, k]: 1 in all, 0 where every weight is 0.

        Weights need not sum to 1: many routers do not renormalise, or scale what they chose.
        """
        amounts = np.abs(self.weights.astype(np.float32))
        total = amounts.sum(-1, keepdims=True)
        return np.divide(amounts, total, out=np.zeros_like(amounts), where=total > 0)

    def weight_of(self, layer: int, expert: int) -> npt.NDArray[np.float32]:
        """The weight applied to one expert's output [tokens]: 0 where it was not selected, NaN where nothing was."""
        place = self.place(layer)
        chosen = self.ids[place] == expert
        return self._routed_only((self.weights[place].astype(np.float32) * chosen).sum(-1))

    def mass(self, experts: Iterable[tuple[int, int]], layer: int | None = None) -> npt.NDArray[np.float32]:
        """The share of each token's applied weight that goes to a set of (layer, expert), [tokens] in [0, 1].

        Every layer's weights are divided by their sum first. Without a `layer` the shares are averaged over all MoE
        layers, also those without a member of the set. NaN where nothing was routed. [ours]
        """
        per_layer = self.mass_by_layer(experts)
        return per_layer.mean(0) if layer is None else per_layer[self.place(layer)]

    def mass_by_layer(self, experts: Iterable[tuple[int, int]]) -> npt.NDArray[np.float32]:
        """The share of each layer's weight that goes to the set, [layers, tokens]."""
        shares, found = self.shares, np.zeros(self.ids.shape[:2], dtype=np.float32)
        members: dict[int, list[int]] = {}
        for layer, expert in experts:
            members.setdefault(self.place(layer), []).append(expert)
        for place, ids in members.items():
            found[place] = (shares[place] * np.isin(self.ids[place], ids)).sum(-1)
        return self._routed_only(found)

    def load(self, parts: Collection[Part] | None = None) -> npt.NDArray[np.float32]:
        """The mean share of a layer's weight that each expert got [layers, experts], over the routed tokens of `parts`
        (None: all); 0 where there are none.
        """
        return self._totals(self.shares, parts) / max(1, int(self._inside(parts).sum()))

    def selections(self, parts: Collection[Part] | None = None) -> npt.NDArray[np.uint32]:
        """How many tokens of `parts` (None: all) selected each expert, [layers, experts]."""
        return self._totals(np.ones(self.ids.shape, dtype=np.float32), parts).astype(np.uint32)

    def top(self, token: int, layer: int | None = None, most: int = 8) -> list[Routed]:
        """The experts that worked on a token, those with the largest share of their layer's weight first: of one layer,
        or of all.
        """
        places = range(len(self.layers)) if layer is None else [self.place(layer)]
        shares = self.shares[:, token]
        found = [
            Routed(ExpertId(self.layers[p], int(i)), float(weight), float(share))
            for p in places
            for i, weight, share in zip(self.ids[p, token], self.weights[p, token], shares[p], strict=True)
            if i != NO_EXPERT
        ]
        return sorted(found, key=lambda one: -one.share)[:most]

    def place(self, layer: int) -> int:
        """The layer's place among the MoE layers. Raises InputError for one that is none."""
        if layer not in self.layers:
            raise InputError(f"layer {layer} is no MoE layer of this model: expected one of {self.layers}")
        return self.layers.index(layer)

    def to_bytes(self) -> bytes:
        """One compressed blob, texts included."""
        names = ("prompt_id", "tokens", "special", "parts", "layers", "experts")
        return pack({"ids": self.ids, "weights": self.weights}, {name: getattr(self, name) for name in names})

    @classmethod
    def from_bytes(cls, blob: bytes) -> "TokenTrace":
        """The inverse of `to_bytes`. Raises ExpertScopeError when the blob is damaged."""
        arrays, meta = unpack(blob)
        names = ("tokens", "special", "parts", "layers")
        lists = {name: tuple(meta[name]) for name in names}
        return cls(prompt_id=meta["prompt_id"], experts=meta["experts"], **lists, **arrays)

    def __repr__(self) -> str:
        layers, tokens, k = self.ids.shape
        return f"TokenTrace('{self.prompt_id}', {tokens} tokens × {layers} layers × {self.experts} experts, top {k})"

    def _inside(self, parts: Collection[Part] | None) -> npt.NDArray[np.bool_]:
        return self.routed & np.array([parts is None or part in parts for part in self.parts], dtype=bool)

    def _totals(self, amounts: npt.NDArray[np.float32], parts: Collection[Part] | None) -> npt.NDArray[np.float32]:
        inside = self._inside(parts)
        ids = self.ids[:, inside].reshape(len(self.layers), -1).astype(np.intp)
        values = amounts[:, inside].reshape(len(self.layers), -1)
        rows = [
            np.bincount(row[row < self.experts], value[row < self.experts], minlength=self.experts)
            for row, value in zip(ids, values, strict=True)
        ]
        return np.stack(rows).astype(np.float32)

    def _routed_only(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.where(self.routed, values, np.float32(np.nan))


class TracedAnswer(NamedTuple):
    """A prompt's routing, and the answer that was generated meanwhile."""

    trace: TokenTrace
    answer: Generated


def trace_tokens(
    model: LoadedModel,
    prompts: Sequence[Prompt],
    max_new_tokens: int = DEFAULTS.max_new_tokens,
    *,
    batch_tokens: int = DEFAULTS.batch_tokens,
) -> list[TracedAnswer]:
    """Run prompts with their greedy answers and keep every token's routing, in the order of `prompts`.

    For a changed model call it inside `model.seam.install(...)`: it then records what was really applied. Raises
    CaptureError where what was seen is not what had to pass, InputError for a prompt the model cannot take.
    """
    encoded, template = encode(model, prompts), Template(model)
    tokens = {one.row: one.tokens for one in encoded}
    found: dict[int, TracedAnswer] = {}
    for batch in batches(model, encoded, batch_tokens=batch_tokens):
        recorded, answers, fed = record_batch(model, batch, max_new_tokens, keep=range(len(batch.rows)))
        asked = [tokens[row] for row in batch.rows]
        proven(tally_batch(model, recorded, [len(one) for one in asked], fed))
        for row, kept, answer in zip(batch.rows, kept_tokens(recorded, asked, answers, fed), answers, strict=True):
            found[row] = TracedAnswer(token_trace(model, template, prompts[row], kept), answer)
    return [found[row] for row in range(len(prompts))]


def token_trace(model: LoadedModel, template: Template, prompt: Prompt, kept: KeptTokens) -> TokenTrace:
    """What was kept of one sequence, with its texts."""
    texts, special = readable(model.tokenizer, np.array(kept.tokens, dtype=np.int64))
    answered = len(kept.tokens) - kept.prompt
    return TokenTrace(
        prompt_id=prompt.id,
        tokens=texts,
        special=special,
        parts=(*template.parts(kept.tokens[: kept.prompt]), *(["response"] * answered)),
        layers=tuple(layer.layer for layer in model.seam.layers),
        experts=model.description.experts,
        ids=kept.ids,
        weights=kept.weights,
    )
