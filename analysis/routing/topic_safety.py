"""Does routing follow the topic or the harm? Jensen–Shannon divergences of prompt-window router probabilities (base 2,
0..1).

Three contrasts: benign prompts of different topics (topic), benign prompts of one topic (within-topic null), matched
harmful and benign prompts (safety). ρ = JSD(safety) / JSD(topic). RASET (arXiv 2605.29708) makes the claim; the
formulas are our formalisation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.routing.summary import FloatArray, PairRows, entropy_bits
from analysis.statistics import FEWEST_CLUSTERS, ClusterPairs, Interval, cluster_bootstrap, ratio_of_means

CONTRASTS = ("topic", "within_topic", "safety")
RANGE = (0.0, 1.0)
_MAX_PAIRS = 2_000
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class TopicSafety:
    """Intervals by contrast, overall and per MoE layer, each layer's topic ratio, and the overall one.

    A contrast that the prompts cannot carry (one topic, no pairs) has an interval of Nones; `withheld` says why.
    """

    overall: dict[str, Interval]
    per_layer: list[dict[str, Interval]]
    topic_ratio: Interval
    withheld: dict[str, str]

    def __repr__(self) -> str:
        found = {**{f"JSD {name}": one for name, one in self.overall.items()}, "topic ratio": self.topic_ratio}
        return f"TopicSafety({'; '.join(f'{name} {one}' for name, one in found.items())})"


@dataclass(frozen=True)
class _Contrast:
    """`divergence` is [pairs, layers]; a pair of prompts belongs to one topic, or lies between two."""

    divergence: npt.NDArray[np.float64]
    clusters: list[str] | ClusterPairs

    @property
    def topics(self) -> int:
        ends = (
            (self.clusters.left, self.clusters.right) if isinstance(self.clusters, ClusterPairs) else (self.clusters,)
        )
        return len({topic for end in ends for topic in end})

    def interval(self, layer: int | slice, seed: int) -> Interval:
        return cluster_bootstrap(self.at(layer), self.clusters, seed=seed, bounds=RANGE)

    def at(self, layer: int | slice) -> npt.NDArray[np.float64]:
        """One value for each pair, in one layer or on average over some."""
        return self.divergence[:, layer] if isinstance(layer, int) else self.divergence[:, layer].mean(1)


def jensen_shannon(left: FloatArray, right: FloatArray) -> FloatArray:
    """JSD in bits over the last axis of two arrays of distributions."""
    divergence: FloatArray = entropy_bits((left + right) / 2) - (entropy_bits(left) + entropy_bits(right)) / 2
    return divergence.clip(0, 1)


def topic_safety(
    probability: FloatArray,
    labels: Sequence[str | None],
    topics: Sequence[str | None],
    pairs: PairRows,
    *,
    seed: int,
) -> TopicSafety:
    """Contrasts over `probability` [prompts, layers, experts], intervals by topic-cluster bootstrap."""
    benign = [i for i, (label, topic) in enumerate(zip(labels, topics, strict=True)) if label == "benign" and topic]
    named = {i: str(topics[i]) for i in benign}
    across, within = _benign_pairs(benign, named, np.random.default_rng(seed))
    contrasts = {
        "topic": _contrast(
            probability, across, ClusterPairs([named[i] for i, _ in across], [named[j] for _, j in across])
        ),
        "within_topic": _contrast(probability, within, [named[i] for i, _ in within]),
        "safety": _contrast(probability, list(zip(pairs.harmful, pairs.benign, strict=True)), list(pairs.topics)),
    }
    layers = probability.shape[1]
    return TopicSafety(
        overall={name: contrast.interval(slice(None), seed) for name, contrast in contrasts.items()},
        per_layer=[_layer(contrasts, layer, seed) for layer in range(layers)],
        topic_ratio=_ratio(contrasts, slice(None), seed),
        withheld=_withheld(contrasts),
    )


def _benign_pairs(
    rows: Sequence[int], topic: dict[int, str], rng: np.random.Generator
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of benign prompts across and within topics; a seeded sample where there are very many."""
    combinations = [(a, b) for n, a in enumerate(rows) for b in rows[n + 1 :]]
    across = [(a, b) for a, b in combinations if topic[a] != topic[b]]
    within = [(a, b) for a, b in combinations if topic[a] == topic[b]]
    return _sample(across, rng), _sample(within, rng)


def _sample(pairs: list[tuple[int, int]], rng: np.random.Generator) -> list[tuple[int, int]]:
    if len(pairs) <= _MAX_PAIRS:
        return pairs
    return [pairs[i] for i in np.sort(rng.choice(len(pairs), _MAX_PAIRS, replace=False))]


def _contrast(
    probability: FloatArray, pairs: Sequence[tuple[int, int]], clusters: list[str] | ClusterPairs
) -> _Contrast:
    left, right = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    blocks = [
        jensen_shannon(probability[left[i : i + _ROWS_AT_ONCE]], probability[right[i : i + _ROWS_AT_ONCE]])
        for i in range(0, len(pairs), _ROWS_AT_ONCE)
    ]
    empty = np.empty((0, probability.shape[1]))
    return _Contrast(np.concatenate(blocks).astype(np.float64) if blocks else empty, clusters)


def _layer(contrasts: dict[str, _Contrast], layer: int, seed: int) -> dict[str, Interval]:
    intervals = {name: contrast.interval(layer, seed) for name, contrast in contrasts.items()}
    return {**intervals, "topic_ratio": _ratio(contrasts, layer, seed)}


def _ratio(contrasts: dict[str, _Contrast], layer: int | slice, seed: int) -> Interval:
    top, bottom = contrasts["safety"], contrasts["topic"]
    if not len(top.divergence) or not len(bottom.divergence):
        return Interval(None, None, None, 0)
    return ratio_of_means(top.at(layer), bottom.at(layer), top.clusters, bottom.clusters, seed=seed)


def _withheld(contrasts: dict[str, _Contrast]) -> dict[str, str]:
    reasons = {
        "topic": "there are not two topics with benign prompts",
        "within_topic": "no topic has two benign prompts",
        "safety": "there are no matched harmful and benign pairs",
    }
    missing = {f"routing.jsd.{name}": reasons[name] for name, c in contrasts.items() if not len(c.divergence)}
    few = {
        f"routing.jsd.{name} interval": f"its prompts have {c.topics} topics, and an interval over topics needs "
        f"{FEWEST_CLUSTERS}"
        for name, c in contrasts.items()
        if len(c.divergence) and c.topics < FEWEST_CLUSTERS
    }
    if missing.keys() & {"routing.jsd.topic", "routing.jsd.safety"}:
        ratio = {"routing.topic_ratio": "it needs both the topic and the safety contrast"}
    elif few.keys() & {"routing.jsd.topic interval", "routing.jsd.safety interval"}:
        ratio = {"routing.topic_ratio interval": f"an interval over topics needs {FEWEST_CLUSTERS} topics"}
    else:
        ratio = {}
    return missing | few | ratio
