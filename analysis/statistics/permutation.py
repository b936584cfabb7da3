"""p values of paired differences and of places within a null, and the correction for many.

Called by the criteria and by the causal tests. `paired_test` is the one they use for differences; its two halves stand
here as well.
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from analysis.statistics.arrays import RowClusters, column_blocks, divide, matrix, observed, row_clusters
from analysis.statistics.studentised import FEWEST_CLUSTERS

TIE = 1e-9
"""Relative slack within which a flipped mean equals the observed one; sums in another order differ by about 1e-16."""


RARE = 10
"""A p that so few flips or fewer stand behind is worked out again with more of them."""
STEP = 4
"""By how much the flips of rare columns grow from round to round; chance findings drop out on the way."""
FLIPS_AT_ONCE = 4096
Unit = Literal["pair", "cluster"]


def paired_test(
    differences: Float[np.ndarray, "n m"],
    clusters: Sequence[Hashable] | None,
    *,
    flips: int = 2000,
    most_flips: int | None = None,
    seed: int,
) -> Float[np.ndarray, " m"]:
    """Two-sided p of each column's mean paired difference: the larger one of `sign_flip_test` and `cluster_t_test`.

    Flipping pairs within topics is exact when the two halves of a pair could have been swapped, and can tell many
    experts apart with a few topics; but where pairs of a topic move together it finds too much. The t test of the
    topics' means is valid there, and needs no more than their near-normality. Asking for both keeps the false-discovery
    rate in either case (see `benchmarks/coverage.py`). With fewer than FEWEST_CLUSTERS topics the t test says nothing
    and is left out: the p then speaks of these topics alone, as the intervals do.
    """
    flipped = sign_flip_test(differences, clusters, flips=flips, most_flips=most_flips, seed=seed)
    if clusters is None or len(set(clusters)) < FEWEST_CLUSTERS:
        return flipped
    larger: Float[np.ndarray, " m"] = np.fmax(flipped, cluster_t_test(differences, clusters))
    return larger


def cluster_t_test(
    differences: Float[np.ndarray, "n m"], clusters: Sequence[Hashable] | None
) -> Float[np.ndarray, " m"]:
    """Two-sided p of the t test of each column's cluster means against zero.

    Keeps its level for clusters of unequal size and spread (Ibragimov and Müller 2010), each counting once. 1 where the
    means are all zero; NaN for a column observed in fewer than two clusters.
    """
    from scipy import stats  # over a second to import

    array = matrix(differences, "differences")
    groups = row_clusters(len(array), clusters)
    seen, members = observed(array), groups.members
    sizes = members @ seen.present.astype(np.float64)
    means = divide(members @ seen.values, sizes)
    count = (sizes > 0).sum(axis=0)
    centre = divide(np.nansum(means, axis=0), count)
    spread = divide(np.nansum((means - centre) ** 2, axis=0), count * (count - 1))
    still = (count > 1) & (np.nan_to_num(np.abs(means)).max(axis=0, initial=0.0) == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * stats.t.sf(np.abs(centre) / np.sqrt(spread), np.maximum(count - 1, 1))
    found: Float[np.ndarray, " m"] = np.where(still, 1.0, np.where(count > 1, p_values, np.nan))
    return found


def sign_flip_test(
    differences: Float[np.ndarray, "n m"],
    clusters: Sequence[Hashable] | None,
    *,
    flips: int = 2000,
    most_flips: int | None = None,
    seed: int,
    unit: Unit = "pair",
) -> Float[np.ndarray, " m"]:
    """Two-sided p of each column's mean difference under random sign flips, (1 + exceeding) / (1 + flips).

    A row is one matched pair. Without an effect its two halves could be swapped, so the pair's sign is flipped on its
    own, within its topic; the statistic is the mean of the topics' means, so that a large topic has no more say than a
    small one. `unit="cluster"` flips whole topics instead: valid even when the pairs of a topic move together, but with
    C topics no p can be below 2^(1-C). All columns see the same flips.

    Columns that at most RARE flips exceed are flipped on, a lone one up to `most_flips` times and r of them a share of
    that each: a correction over m columns asks r findings for p of 0.05·r/m, which is finer than `flips` may give. NaN
    differences were not observed; a column with none at all gets NaN.
    """
    array = matrix(differences, "differences")
    groups = row_clusters(len(array), clusters)
    rng = np.random.default_rng(seed)
    exceeding = _exceeding(array, groups, _signs(rng, groups, flips, unit))
    done = np.full(array.shape[1], flips)
    rare, so_far = np.flatnonzero(exceeding <= RARE), flips
    while len(rare) and so_far < (enough := (most_flips or 0) // len(rare)):
        further = min(STEP * so_far, enough) - so_far
        exceeding[rare] += _exceeding(array[:, rare], groups, _signs(rng, groups, further, unit))
        so_far += further
        done[rare] = so_far
        rare = rare[exceeding[rare] <= RARE]
    known = (~np.isnan(array)).any(axis=0)
    p_values: Float[np.ndarray, " m"] = np.where(known, (1 + exceeding) / (1 + done), np.nan)
    return p_values


def empirical_p(observed_value: float, null: Float[np.ndarray, " n"]) -> float:
    """The observed value's place among the null's, upper tail: (1 + #{null >= observed}) / (1 + n)."""
    values = np.asarray(null, dtype=np.float64)
    return float((1 + (values >= observed_value).sum()) / (1 + values.size))


def predictive_p(observed_value: float, null: Float[np.ndarray, " n"]) -> float:
    """Chance that one more member of a normal null would reach so far, upper tail: t = (x − mean) / (sd·√(1 + 1/n)).

    `empirical_p` of n null values is never below 1 / (n + 1), which no correction over many tests survives; this goes
    on beyond the last of them, from their spread. 1 for fewer than two values, which have none.
    """
    from scipy import stats  # over a second to import

    values = np.asarray(null, dtype=np.float64)
    n = values.size
    if n < 2:
        return 1.0
    excess, error = float(observed_value - values.mean()), float(values.std(ddof=1) * np.sqrt(1 + 1 / n))
    if error == 0:
        return 0.0 if excess > 0 else 1.0
    return float(stats.t.sf(excess / error, n - 1))


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
    rng: np.random.Generator, groups: RowClusters, flips: int, unit: Unit
) -> Iterator[Float[np.ndarray, "flips rows"]]:
    """Random signs for the rows, some flips at a time."""
    size = groups.count if unit == "cluster" else len(groups.index)
    for start in range(0, flips, FLIPS_AT_ONCE):
        signs = rng.choice(np.array([-1.0, 1.0]), size=(min(FLIPS_AT_ONCE, flips - start), size))
        yield signs[:, groups.index] if unit == "cluster" else signs


def _exceeding(
    differences: Float[np.ndarray, "n m"], groups: RowClusters, signs: Iterator[Float[np.ndarray, "flips n"]]
) -> Int[np.ndarray, " m"]:
    """How many flips take each column's mean of topic means at least as far from zero as it is."""
    seen = observed(differences)
    topic_sizes = groups.members @ seen.present.astype(np.float64)
    shares = divide(seen.values, topic_sizes[groups.index])
    shares[~seen.present] = 0.0
    reached = np.abs(shares.sum(axis=0)) - TIE * np.abs(shares).sum(axis=0)
    count = np.zeros(differences.shape[1], dtype=np.intp)
    for some in signs:
        for part in column_blocks(differences.shape[1], len(some)):
            count[part] += (np.abs(some @ shares[:, part]) >= reached[part]).sum(axis=0)
    return count
