"""Stability selection: which experts are among the busiest again and again when the prompts change a little.

Called by the `safex` criterion. Meinshausen and Bühlmann 2010 for the half-samples and the bound.
"""

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from analysis.errors import InputError, WithheldError
from analysis.statistics.arrays import RowClusters, row_clusters, weighted_means
from analysis.statistics.bootstrap import cluster_weights


def stability_selection(
    frequency: Float[np.ndarray, "n layers experts"],
    top: int,
    *,
    samples: int = 100,
    seed: int,
    method: Literal["half", "bootstrap"] = "half",
    clusters: Sequence[Hashable] | None = None,
) -> Float[np.ndarray, "layers experts"]:
    """The share of resamples in which an expert is among its layer's `top` by mean frequency: in [0, 1], each layer
    summing to `top`.

    A resample is half of the units without replacement, or as many again with it ("bootstrap"); units are prompts, or
    whole clusters where given. Equal means count for the lower expert index. Raises InputError for a `top` that a layer
    does not have, WithheldError for fewer than two units.
    """
    array = np.asarray(frequency)
    if array.ndim != 3 or not 1 <= top <= array.shape[2]:
        raise InputError(
            f"top {top} of frequencies {array.shape}: expected [prompts, layers, experts] and 1 <= top <= experts"
        )
    groups = row_clusters(len(array), clusters)
    if groups.count < 2:
        raise WithheldError(f"stability needs at least two prompts or topics to resample, found {groups.count}")
    weights = _weights(groups, samples, seed, method)
    return np.stack([_layer(array[:, layer], weights, top) for layer in range(array.shape[1])])


def false_selection_bound(selected: float, candidates: int, threshold: float) -> float:
    """At most so many experts are expected to pass `threshold` by chance: q² / ((2π − 1) · candidates).

    `selected` (q) is how many one half-sample selects over all layers. Raises InputError for a threshold of 0.5 or
    less, where the bound says nothing.
    """
    if not 0.5 < threshold <= 1 or candidates < 1:
        raise InputError(
            f"threshold {threshold} over {candidates} candidates: expected 0.5 < threshold <= 1 and at least one"
        )
    return selected**2 / ((2 * threshold - 1) * candidates)


def _weights(
    groups: RowClusters, samples: int, seed: int, method: Literal["half", "bootstrap"]
) -> Float[np.ndarray, "samples rows"]:
    if method == "bootstrap":
        return cluster_weights(groups.count, samples, seed)[:, groups.index]
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(groups.count), (samples, 1)), axis=1)
    return (order < (groups.count + 1) // 2).astype(np.float64)[:, groups.index]


def _layer(
    frequency: Float[np.ndarray, "n experts"], weights: Float[np.ndarray, "samples n"], top: int
) -> Float[np.ndarray, " experts"]:
    experts = frequency.shape[1]
    counts = np.zeros(experts)
    means = np.nan_to_num(weighted_means(weights, frequency), nan=-np.inf)
    chosen = np.argsort(-means, axis=1, kind="stable")[:, :top]
    np.add.at(counts, chosen, 1)
    return counts / len(weights)
