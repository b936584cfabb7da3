"""Does routing follow the topic or the harm? Jensen–Shannon divergences (base 2, 0..1) and top-k overlaps (0..k) of
mean router probabilities.

Five contrasts. Between prompts, in the prompt window: benign prompts of different topics (topic), benign prompts of one
topic (within-topic null), matched harmful and benign prompts (safety). Within one harmful prompt, with answers forced
on it: the prompt's tokens alone and followed by a refusal (refusal prefix), and a refusal's tokens against those of a
harmless stand-in of the same length (behaviour). ρ = JSD(safety) / JSD(topic). RASET (arXiv 2605.29708) makes the
claim; the formulas and windows are our formalisation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from analysis.routing.summary import FloatArray, PairRows, entropy_bits
from analysis.statistics import (
    FEWEST_CLUSTERS,
    ClusterPairs,
    Interval,
    IntervalColumns,
    cluster_bootstrap,
    cluster_bootstrap_columns,
    ratio_of_means,
)

BETWEEN_PROMPTS = ("topic", "within_topic", "safety")
FORCED = ("refusal_prefix", "behaviour")
CONTRASTS = (*BETWEEN_PROMPTS, *FORCED)
NOT_FORCED = "it needs answers forced on the prompts: pass forced=force_answers(model, trace)"
_MAX_PAIRS = 2_000
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Compared:
    """Two distributions for each of some prompts, [prompts, layers, experts] each, and the prompts' topics."""

    left: FloatArray
    right: FloatArray
    topics: list[str]


@dataclass(frozen=True)
class TopicSafety:
    """Intervals by contrast, overall and per MoE layer, each layer's topic ratio, and the overall one.

    `overall` and `per_layer` are JSDs; `overlap` and `overlap_per_layer` say how many of the k most probable experts
    the two sides share. A contrast that the prompts cannot carry (one topic, no pairs) has an interval of Nones;
    `withheld` says why.
    """

    overall: dict[str, Interval]
    per_layer: list[dict[str, Interval]]
    topic_ratio: Interval
    withheld: dict[str, str]
    overlap: dict[str, Interval]
    overlap_per_layer: list[dict[str, Interval]]

    def __repr__(self) -> str:
        found = {**{f"JSD {name}": one for name, one in self.overall.items()}, "topic ratio": self.topic_ratio}
        return f"TopicSafety({'; '.join(f'{name} {one}' for name, one in found.items())})"


@dataclass(frozen=True)
class _Contrast:
    """`divergence` and `overlap` are [pairs, layers]; a pair of prompts belongs to one topic, or lies between two."""

    divergence: npt.NDArray[np.float64]
    overlap: npt.NDArray[np.float64]
    clusters: list[str] | ClusterPairs

    @property
    def topics(self) -> int:
        ends = (
            (self.clusters.left, self.clusters.right) if isinstance(self.clusters, ClusterPairs) else (self.clusters,)
        )
        return len({topic for end in ends for topic in end})

    def intervals(self, of: Literal["divergence", "overlap"], top: float, seed: int) -> list[Interval]:
        """One for each layer, then the one of the mean over layers. No value lies outside 0 to `top`."""
        values: npt.NDArray[np.float64] = getattr(self, of)
        columns = np.column_stack([values, values.mean(1)])
        if isinstance(self.clusters, ClusterPairs):
            return [cluster_bootstrap(one, self.clusters, seed=seed, bounds=(0.0, top)) for one in columns.T]
        found: IntervalColumns = cluster_bootstrap_columns(columns, self.clusters, seed=seed, bounds=(0.0, top))
        return [found.at(column) for column in range(len(found))]

    def at(self, layer: int | slice) -> npt.NDArray[np.float64]:
        """One divergence for each pair, in one layer or on average over some."""
        return self.divergence[:, layer] if isinstance(layer, int) else self.divergence[:, layer].mean(1)


def jensen_shannon(left: FloatArray, right: FloatArray) -> FloatArray:
    """JSD in bits over the last axis of two arrays of distributions."""
    divergence: FloatArray = entropy_bits((left + right) / 2) - (entropy_bits(left) + entropy_bits(right)) / 2
    return divergence.clip(0, 1)


def top_k_overlap(left: FloatArray, right: FloatArray, k: int) -> npt.NDArray[np.int64]:
    """How many of the k largest entries over the last axis two arrays share, 0..k; of ties the first entries count."""
    sides = (_top_k(left, k), _top_k(right, k))
    shared: npt.NDArray[np.int64] = (sides[0] & sides[1]).sum(-1)
    return shared


def _top_k(values: FloatArray, k: int) -> npt.NDArray[np.bool_]:
    best = np.argsort(-values, axis=-1, kind="stable")[..., :k]
    inside = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(inside, best, True, axis=-1)
    return inside


def topic_safety(
    probability: FloatArray,
    labels: Sequence[str | None],
    topics: Sequence[str | None],
    pairs: PairRows,
    *,
    top_k: int,
    forced: Mapping[str, Compared] | str = NOT_FORCED,
    seed: int,
) -> TopicSafety:
    """Contrasts over `probability` [prompts, layers, experts], intervals by topic-cluster bootstrap.

    `forced` are the contrasts named in FORCED, or why there are none.
    """
    benign = [i for i, (label, topic) in enumerate(zip(labels, topics, strict=True)) if label == "benign" and topic]
    named = {i: str(topics[i]) for i in benign}
    across, within = _benign_pairs(benign, named, np.random.default_rng(seed))
    contrasts = {
        "topic": _between(
            probability, across, ClusterPairs([named[i] for i, _ in across], [named[j] for _, j in across]), top_k
        ),
        "within_topic": _between(probability, within, [named[i] for i, _ in within], top_k),
        "safety": _between(probability, list(zip(pairs.harmful, pairs.benign, strict=True)), list(pairs.topics), top_k),
        **{name: _within(probability, forced, name, top_k) for name in FORCED},
    }
    jsd = {name: contrast.intervals("divergence", 1.0, seed) for name, contrast in contrasts.items()}
    overlap = {name: contrast.intervals("overlap", top_k, seed) for name, contrast in contrasts.items()}
    layers = range(probability.shape[1])
    ratios = [_ratio(contrasts, layer, seed) for layer in layers]
    return TopicSafety(
        overall={name: found[-1] for name, found in jsd.items()},
        per_layer=[{**{name: f[layer] for name, f in jsd.items()}, "topic_ratio": ratios[layer]} for layer in layers],
        topic_ratio=_ratio(contrasts, slice(None), seed),
        withheld=_withheld(contrasts, forced if isinstance(forced, str) else ""),
        overlap={name: found[-1] for name, found in overlap.items()},
        overlap_per_layer=[{name: found[layer] for name, found in overlap.items()} for layer in layers],
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


def _between(
    probability: FloatArray, pairs: Sequence[tuple[int, int]], clusters: list[str] | ClusterPairs, k: int
) -> _Contrast:
    """A contrast between prompts: the rows of each pair."""
    left, right = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    starts = range(0, len(pairs), _ROWS_AT_ONCE)
    blocks = [(probability[left[i : i + _ROWS_AT_ONCE]], probability[right[i : i + _ROWS_AT_ONCE]]) for i in starts]
    return _contrast(blocks, clusters, k, probability.shape[1])


def _within(probability: FloatArray, forced: Mapping[str, Compared] | str, name: str, k: int) -> _Contrast:
    """A contrast within prompts, of whatever was forced on them."""
    if isinstance(forced, str):
        return _contrast([], [], k, probability.shape[1])
    one = forced[name]
    return _contrast([(one.left, one.right)], one.topics, k, probability.shape[1])


def _contrast(
    blocks: Sequence[tuple[FloatArray, FloatArray]], clusters: list[str] | ClusterPairs, k: int, layers: int
) -> _Contrast:
    empty = [np.empty((0, layers))]
    divergence = np.concatenate([jensen_shannon(*block) for block in blocks] or empty)
    overlap = np.concatenate([top_k_overlap(*block, k) for block in blocks] or empty)
    return _Contrast(divergence.astype(np.float64), overlap.astype(np.float64), clusters)


def _ratio(contrasts: dict[str, _Contrast], layer: int | slice, seed: int) -> Interval:
    top, bottom = contrasts["safety"], contrasts["topic"]
    if not len(top.divergence) or not len(bottom.divergence):
        return Interval(None, None, None, 0)
    return ratio_of_means(top.at(layer), bottom.at(layer), top.clusters, bottom.clusters, seed=seed)


def _withheld(contrasts: dict[str, _Contrast], not_forced: str) -> dict[str, str]:
    reasons = {
        "topic": "there are not two topics with benign prompts",
        "within_topic": "no topic has two benign prompts",
        "safety": "there are no matched harmful and benign pairs",
        **dict.fromkeys(FORCED, not_forced),
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
