"""nearest: the labelled prompts whose routing is most like a prompt's own vote on it.

The lookup of kNN-MoE (arXiv 2601.02144) used to read instead of to route: its memory holds router states of tokens,
ours the load of whole prompts. Similarity of two prompts is the mean over layers of the Bhattacharyya coefficient
Σ √(q·q') of their loads, in [0, 1]; the 15 nearest vote with it as their weight. Memory, similarity and 15 are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from sklearn.neighbors import NearestNeighbors

from analysis.detectors.base import Detector, DetectorInfo, Features, Labels, Values, per_expert
from analysis.detectors.signals import Signals

INFO = DetectorInfo(
    name="nearest",
    summary="The vote of the 15 labelled prompts whose expert load is most like this prompt's.",
    window="prompt",
    source="after kNN-MoE, arXiv 2601.02144; memory, similarity and number of neighbours are ours",
)
NEIGHBOURS = 15


def features(signals: Signals) -> Features:
    """√(q/L) of every expert, so that the inner product of two prompts is their mean Bhattacharyya coefficient."""
    return per_expert(np.sqrt(signals.load / len(signals.layers)), signals, "root load")


@dataclass(frozen=True)
class NearestScorer:
    """`memory` [remembered, columns] with `harmful` [remembered]; `neighbours` of them vote."""

    kind: ClassVar[str] = "nearest"

    memory: Values
    harmful: Labels
    neighbours: int

    def probability(self, values: Values) -> Float[np.ndarray, " prompts"]:
        """The similarity-weighted share of harmful ones among the nearest; even odds where nothing is similar."""
        search = NearestNeighbors(n_neighbors=self.neighbours, algorithm="brute").fit(self.memory)
        nearest = search.kneighbors(values, return_distance=False)
        weight = np.einsum("pc,pnc->pn", values, self.memory[nearest]).clip(0)
        total = weight.sum(1)
        votes = (weight * self.harmful[nearest]).sum(1)
        likely: Float[np.ndarray, " prompts"] = np.divide(votes, total, out=np.full(len(values), 0.5), where=total > 0)
        return likely

    def arrays(self) -> dict[str, np.ndarray]:
        return {"memory": self.memory, "harmful": self.harmful}

    def numbers(self) -> dict[str, Any]:
        return {"neighbours": self.neighbours}


def fit_nearest(values: Values, harmful: Labels, units: Sequence[str]) -> NearestScorer:
    """Remember everything. With fewer than 45 prompts a third of them vote."""
    return NearestScorer(values, harmful, max(1, min(NEIGHBOURS, len(values) // 3)))


DETECTOR = Detector(INFO, features, fit_nearest, linear=False)
