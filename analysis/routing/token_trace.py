"""Where every token of one prompt, and of the answer to it, was routed: what the token pages and the playground draw.

`token_tracing` makes it: an audit from a bounded sample of its capture, the playground by running one prompt.
Selections and weights are what passed the seam. No torch here.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.blob import pack, unpack
from analysis.errors import InputError

Part = Literal["template", "prompt", "boundary", "response"]
NO_EXPERT = 0xFFFF
"""Stands in `ids` where nothing was selected: beyond the k of a layer that has a smaller one, or a token that was never
fed back to the model.
"""


class Routed(NamedTuple):
    """An expert that worked on a token: the `weight` it was applied with, and its `share` of the layer's weight."""

    layer: int
    expert: int
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

    @cached_property
    def routed(self) -> npt.NDArray[np.bool_]:
        """[tokens]: False for a token that was generated but never fed back to the model."""
        routed: npt.NDArray[np.bool_] = (self.ids != NO_EXPERT).any((0, 2))
        return routed

    @cached_property
    def shares(self) -> npt.NDArray[np.float32]:
        """`weights` over their sum in the token's layer, [layers, tokens, k]: 1 in all, 0 where every weight is 0.

        Weights need not sum to 1: many routers do not renormalise, or scale what they chose.
        """
        amounts = np.abs(self.weights.astype(np.float32))
        total = amounts.sum(-1, keepdims=True)
        shares: npt.NDArray[np.float32] = np.divide(amounts, total, out=np.zeros_like(amounts), where=total > 0)
        return shares

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
        mass: npt.NDArray[np.float32] = per_layer.mean(0) if layer is None else per_layer[self.place(layer)]
        return mass

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
        tokens = np.float32(max(1, int(self._inside(parts).sum())))
        load: npt.NDArray[np.float32] = self._totals(self.shares, parts) / tokens
        return load

    def selections(self, parts: Collection[Part] | None = None) -> npt.NDArray[np.uint32]:
        """How many tokens of `parts` (None: all) selected each expert, [layers, experts]."""
        return self._totals(np.ones(self.ids.shape, dtype=np.float32), parts).astype(np.uint32)

    def top(self, token: int, layer: int | None = None, most: int = 8) -> list[Routed]:
        """The experts that worked on a token, those with the largest share of their layer's weight first: of one layer,
        or of all.
        """
        return self.tops(layer, most)[token]

    def tops(self, layer: int | None = None, most: int = 8) -> list[list[Routed]]:
        """`top` of every token."""
        places = np.arange(len(self.layers)) if layer is None else np.array([self.place(layer)])
        chosen = (array[places].transpose(1, 0, 2) for array in (self.ids, self.weights, self.shares))
        ids, weights, shares = (array.reshape(len(self.tokens), -1) for array in chosen)
        layers = np.array(self.layers)[places].repeat(self.ids.shape[-1])
        order = np.argsort(-np.where(ids == NO_EXPERT, -1, shares), axis=1, kind="stable")[:, :most]
        return [
            [
                Routed(int(layers[cell]), int(ids[t, cell]), float(weights[t, cell]), float(shares[t, cell]))
                for cell in row
                if ids[t, cell] != NO_EXPERT
            ]
            for t, row in enumerate(order)
        ]

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
        return cls(
            prompt_id=meta["prompt_id"],
            tokens=tuple(meta["tokens"]),
            special=tuple(meta["special"]),
            parts=tuple(meta["parts"]),
            layers=tuple(meta["layers"]),
            experts=meta["experts"],
            ids=arrays["ids"],
            weights=arrays["weights"],
        )

    def __repr__(self) -> str:
        layers, tokens, k = self.ids.shape
        return f"TokenTrace('{self.prompt_id}', {tokens} tokens × {layers} layers × {self.experts} experts, top {k})"

    def _inside(self, parts: Collection[Part] | None) -> npt.NDArray[np.bool_]:
        inside: npt.NDArray[np.bool_] = self.routed & np.array([parts is None or part in parts for part in self.parts])
        return inside

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
