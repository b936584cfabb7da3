"""p values without a distribution: sign flips within topics, places within a null, correction for many."""

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from analysis.statistics.arrays import RowClusters, column_blocks, divide, matrix, observed, row_clusters

TIE = 1e-9
"""Relative slack within which a flipped mean equals the observed one; sums in another order differ by about 1e-16."""


def sign_flip_test(
    differences: Float[np.ndarray, "n m"],
    clusters: Sequence[Hashable] | None,
    *,
    flips: int = 2000,
    seed: int,
    unit: Literal["pair", "cluster"] = "pair",
) -> Float[np.ndarray, " m"]:
    """Two-sided p of each column's mean difference under random sign flips, (1 + exceeding) / (1 + flips).

    A row is one matched pair. Without an effect its two halves could be swapped, so the pair's sign is flipped on its
    own, within its topic; the statistic is the mean of the topics' means, so that a large topic has no more say than a
    small one. `unit="cluster"` flips whole topics instead: valid even when the pairs of a topic move together, but with
    C topics no p can be below 2^(1-C). All columns see the same flips. NaN differences were not observed; a column
    with none at all gets NaN.
    """
    array = matrix(differences, "differences")
    groups = row_clusters(len(array), clusters)
    signs = _signs(len(array), groups, flips, seed, unit)
    p_values = np.full(array.shape[1], np.nan)
    for part in column_blocks(array.shape[1], max(flips, len(array))):
        p_values[part] = _flip_block(array[:, part], groups, signs)
    return p_values


def empirical_p(observed_value: float, null: Float[np.ndarray, " n"]) -> float:
    """The observed value's place among the null's, upper tail: (1 + #{null >= observed}) / (1 + n)."""
    values = np.asarray(null, dtype=np.float64)
    return float((1 + (values >= observed_value).sum()) / (1 + values.size))


def benjamini_hochberg(p_values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """q values (adjusted p) over all entries at once, in the shape given; NaN entries stay NaN and are not counted."""
    from scipy import stats  # over a second to import

    values = np.asarray(p_values, dtype=np.float64)
    q_values = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    if known.any():
        q_values[known] = stats.false_discovery_control(values[known], method="bh")
    return q_values


def _signs(
    rows: int, groups: RowClusters, flips: int, seed: int, unit: Literal["pair", "cluster"]
) -> Float[np.ndarray, "flips rows"]:
    size = groups.count if unit == "cluster" else rows
    signs = np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), size=(flips, size))
    return signs[:, groups.index] if unit == "cluster" else signs


def _flip_block(
    differences: Float[np.ndarray, "n columns"], groups: RowClusters, signs: Float[np.ndarray, "flips n"]
) -> Float[np.ndarray, " columns"]:
    seen = observed(differences)
    members = groups.members
    topic_sizes = members @ seen.present.astype(np.float64)
    shares = divide(seen.values, topic_sizes[groups.index])
    shares[~seen.present] = 0.0
    reached = np.abs(shares.sum(axis=0))
    slack = TIE * np.abs(shares).sum(axis=0)
    exceeding = (np.abs(signs @ shares) >= reached - slack).sum(axis=0)
    p_values = (1 + exceeding) / (1 + len(signs))
    return np.where(seen.present.any(axis=0), p_values, np.nan)
