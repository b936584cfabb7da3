"""Does an expert belong to a word? The expert that a token gives the highest weight, counted by token id.

Vocabulary specialisation of a token id v: max over experts of P(top-1 = e | v), over the prompt tokens of a trace, for
ids that occur at least `FEWEST` times; OLMoE (arXiv 2409.02060) measures it per expert. The trace fills `Vocabulary`;
`TopTokens`, the ids that are most specific to each expert, is stored with the routing table for the expert page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.routing.sparse import SparseCounts

FEWEST = 10
"""Occurrences that a token id needs: a share of fewer is mostly chance."""
MOST_IDS = 4_096
CELLS = 1 << 24
"""Most counters, layers x token ids x experts: 64 MiB. Where they do not suffice the rarest ids are left out."""
TOP = 8

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FollowedIds:
    """The token ids that are counted, ascending, with their occurrences. `eligible` are all that occur often enough."""

    ids: Ids
    occurrences: Ids
    eligible: int

    def slots(self, tokens: Ids) -> Ids:
        """The place of each token in `ids`, −1 for those that are not followed."""
        if not len(self.ids):
            return np.full(tokens.shape, -1, dtype=np.int64)
        place = np.searchsorted(self.ids, tokens).clip(max=len(self.ids) - 1)
        return np.where(self.ids[place] == tokens, place, -1)


NONE_FOLLOWED = FollowedIds(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), 0)


def follow(prompts: Sequence[Sequence[int]], layers: int, experts: int) -> FollowedIds:
    """Choose what to count before anything runs: ids with FEWEST occurrences in `prompts`, the most frequent first up
    to MOST_IDS and CELLS.
    """
    flat = np.concatenate([np.asarray(tokens, dtype=np.int64) for tokens in prompts])
    ids, occurrences = np.unique(flat, return_counts=True)
    often = np.flatnonzero(occurrences >= FEWEST)
    room = min(MOST_IDS, CELLS // (layers * experts))
    kept = np.sort(often[np.argsort(-occurrences[often], kind="stable")][:room])
    return FollowedIds(ids[kept], occurrences[kept].astype(np.int64), len(often))


def count_top_experts(
    followed: FollowedIds, tokens: Ids, keep: npt.NDArray[np.bool_], top: npt.NDArray[np.integer[Any]], experts: int
) -> SparseCounts:
    """Count one batch. `tokens` and `keep` are [batch, t], `top` is [layers, batch, t], the expert with the highest
    weight. Cells are of [layers, followed ids, experts].
    """
    slots = np.where(keep, followed.slots(tokens), -1)
    chosen = slots >= 0
    layers = np.arange(len(top))[:, None]
    return SparseCounts.of(((layers * len(followed.ids) + slots[chosen]) * experts + top[:, chosen]).reshape(-1))


@dataclass(frozen=True)
class TopTokens:
    """For each expert the token ids that most often have it as their first expert, the most specific first.

    `slots` and `counts` are [layers, experts, TOP]: places in the three lists, −1 where there are no more, and how
    often the id chose the expert. `texts` are the decoded ids, `special` those of the chat template and the like.
    """

    slots: npt.NDArray[np.int32]
    counts: npt.NDArray[np.uint32]
    occurrences: Ids
    texts: tuple[str, ...]
    special: tuple[bool, ...]

    def of(self, place: int, expert: int) -> list["TokenUse"]:
        """The tokens of one expert; `place` is the layer's index among the MoE layers."""
        rows = zip(self.slots[place, expert].tolist(), self.counts[place, expert].tolist(), strict=True)
        return [
            TokenUse(self.texts[slot], self.special[slot], count / int(self.occurrences[slot]), count)
            for slot, count in rows
            if slot >= 0
        ]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"token_slots": self.slots, "token_counts": self.counts, "token_occurrences": self.occurrences}

    def meta(self) -> dict[str, Any]:
        return {"token_texts": self.texts, "token_special": self.special}

    @classmethod
    def from_blob(cls, arrays: dict[str, npt.NDArray[Any]], meta: dict[str, Any]) -> "TopTokens | None":
        """The inverse of `arrays` and `meta`; None for a run that is older than these counts."""
        if "token_slots" not in arrays:
            return None
        return cls(
            arrays["token_slots"],
            arrays["token_counts"],
            arrays["token_occurrences"],
            tuple(meta["token_texts"]),
            tuple(meta["token_special"]),
        )


@dataclass(frozen=True)
class TokenUse:
    """A token and the `share` of its occurrences, P(top-1 = e | v), in which an expert had the highest weight."""

    text: str
    special: bool
    share: float
    tokens: int


@dataclass(frozen=True)
class VocabularySpecialisation:
    """One layer: the mean over token ids of max over experts of P(top-1 = e | v), in [0, 1], over `token_ids` ids.

    `baseline` is what the same layer would show if the id did not matter: the largest mean share of one expert.
    """

    mean: float
    baseline: float
    token_ids: int


@dataclass(frozen=True)
class Vocabulary:
    """`counts` [layers, ids, experts]: how often an id's highest weight went to an expert, in the prompt window. Over
    experts they sum to the id's occurrences. `eligible` counts the ids that occur often enough, followed or not.
    """

    ids: Ids
    occurrences: Ids
    counts: npt.NDArray[np.uint32]
    texts: tuple[str, ...]
    special: tuple[bool, ...]
    eligible: int

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.ids)} of {self.eligible} token ids with at least {FEWEST} occurrences)"

    @property
    def share(self) -> npt.NDArray[np.float64]:
        """P(top-1 = e | v) [layers, ids, experts]."""
        shares: npt.NDArray[np.float64] = self.counts / self.occurrences[None, :, None]
        return shares

    def specialisation(self) -> list[VocabularySpecialisation] | None:
        """Per MoE layer; None where no token id occurs often enough."""
        if not len(self.ids):
            return None
        return [
            VocabularySpecialisation(float(layer.max(1).mean()), float(layer.mean(0).max()), len(self.ids))
            for layer in self.share
        ]

    def top_tokens(self) -> TopTokens:
        """The ids most specific to each expert: by share, then by occurrences."""
        layers, ids, experts = self.counts.shape
        slots = np.full((layers, experts, TOP), -1, dtype=np.int32)
        counts = np.zeros((layers, experts, TOP), dtype=np.uint32)
        frequent = np.argsort(-self.occurrences, kind="stable")
        for place in range(layers):
            ranked = self.counts[place][frequent] / self.occurrences[frequent, None]
            order = frequent[np.argsort(-ranked, axis=0, kind="stable")[:TOP]]
            found = np.take_along_axis(self.counts[place], order, axis=0)
            slots[place, :, : min(TOP, ids)] = np.where(found > 0, order, -1).T
            counts[place, :, : min(TOP, ids)] = found.T
        return TopTokens(slots, counts, self.occurrences, self.texts, self.special)


def readable(tokenizer: Any, ids: Ids) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Each id as text, and whether it is one of the tokenizer's special tokens.

    An id that is only a part of a character has no text of its own and is given as the vocabulary spells it.
    """
    added = getattr(tokenizer, "added_tokens_decoder", {})
    marked = {*tokenizer.all_special_ids, *(i for i, token in added.items() if token.special)}
    texts = [str(tokenizer.decode([i])) for i in ids.tolist()]
    spelled = [
        str(tokenizer.convert_ids_to_tokens(i)) if "\ufffd" in text else text
        for i, text in zip(ids.tolist(), texts, strict=True)
    ]
    return tuple(spelled), tuple(i in marked for i in ids.tolist())
