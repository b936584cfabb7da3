"""How far apart each two topics are routed: a topic × topic matrix of mean JSD, per layer and averaged over layers.

Each cell is a mean over pairs of prompts with one label, of the two topics or, on the diagonal, of one. Where there are
many pairs a seeded sample of them stands for all. Called for the report; our formalisation, as in `topic_safety`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.prompts.prompt_set import Label
from analysis.routing.summary import FloatArray
from analysis.routing.topic_safety import jensen_shannon

PAIRS = 4_000
"""Pairs of prompts behind one matrix; its cells share them evenly."""
FEWEST_PAIRS, MOST_PAIRS = 4, 100


@dataclass(frozen=True)
class TopicMatrix:
    """JSD between topics, [layers, topics, topics], symmetric; NaN where there is no pair (a topic with one prompt).

    `pairs` [topics, topics] are the pairs of prompts behind each cell.
    """

    topics: tuple[str, ...]
    per_layer: npt.NDArray[np.float64]
    pairs: npt.NDArray[np.intp]

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """[topics, topics], averaged over layers."""
        average: npt.NDArray[np.float64] = self.per_layer.mean(0)
        return average


def topic_matrix(
    probability: FloatArray, labels: Sequence[str | None], topics: Sequence[str | None], label: Label, *, seed: int
) -> TopicMatrix | None:
    """The matrix of the prompts that have `label` and a topic, over `probability` [prompts, layers, experts].

    None where fewer than two topics have such a prompt.
    """
    inside = [i for i, (one, topic) in enumerate(zip(labels, topics, strict=True)) if one == label and topic]
    names = tuple(sorted({str(topics[i]) for i in inside}))
    if len(names) < 2:
        return None
    members = [np.array([i for i in inside if topics[i] == name], dtype=np.intp) for name in names]
    per_layer = np.full((probability.shape[1], len(names), len(names)), np.nan)
    pairs = np.zeros((len(names), len(names)), dtype=np.intp)
    rng = np.random.default_rng(seed)
    cells = len(names) * (len(names) + 1) // 2
    most = int(np.clip(PAIRS // cells, FEWEST_PAIRS, MOST_PAIRS))
    for a in range(len(names)):
        for b in range(a, len(names)):
            left, right = _pairs(members[a], members[b], a == b, most, rng)
            pairs[a, b] = pairs[b, a] = len(left)
            if len(left):
                per_layer[:, a, b] = per_layer[:, b, a] = _mean(probability, left, right)
    return TopicMatrix(names, per_layer, pairs)


def _pairs(
    left: npt.NDArray[np.intp], right: npt.NDArray[np.intp], same: bool, most: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows of up to `most` pairs, without replacement; within a topic no prompt is paired with itself."""
    first, second = np.triu_indices(len(left), 1) if same else np.divmod(np.arange(len(left) * len(right)), len(right))
    if len(first) > most:
        kept = np.sort(rng.choice(len(first), most, replace=False))
        first, second = first[kept], second[kept]
    return left[first], right[second]


def _mean(probability: FloatArray, left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = jensen_shannon(probability[left], probability[right]).mean(0, dtype=np.float64)
    return found
