"""raset: contrastive routing sensitivity between matched harmful and benign prompts.

RASET (arXiv 2605.29708) names a contrastive routing-sensitivity criterion; the formula is our formalisation: Δ = mean
over pairs of f(harmful) − f(benign), CRS = |Δ| − λ·τ0 with τ0 the sd of benign–benign differences within a topic, λ =
1. Experts are ranked by the size of the moderated paired t. Window: all prompt tokens.
"""

import numpy as np

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence, Scores
from analysis.errors import WithheldError
from analysis.statistics import benjamini_hochberg, cluster_bootstrap_columns, moderated_t, paired_test

INFO = CriterionInfo(
    name="raset",
    summary="How much more or less an expert is selected on harmful prompts than on their benign twins, against noise.",
    window="prompt",
    unit="|t|",
    source="RASET, arXiv 2605.29708; our formalisation",
)
LAMBDA = 1.0


def raset(evidence: Evidence) -> Criterion:
    """Score |t| [layers, experts], with Δ, CRS, its interval's limits and q (paired test, BH over all experts)."""
    pairs = evidence.pairs
    if len(pairs) < 2:
        raise WithheldError(f"raset needs at least 2 matched pairs in the discovery half, found {len(pairs)}")
    shape = evidence.frequency.shape[1:]
    difference = (
        (evidence.frequency[pairs.harmful] - evidence.frequency[pairs.benign])
        .reshape(len(pairs), -1)
        .astype(np.float64)
    )
    interval = cluster_bootstrap_columns(difference, pairs.topics, seed=evidence.seed, rows_if_few=True, bounds=(-1, 1))
    delta = difference.mean(0)
    # With fewer flips the smallest p could not survive a correction over so many experts.
    p = paired_test(difference, pairs.topics, most_flips=40 * difference.shape[1], seed=evidence.seed)
    columns = {
        "delta": delta,
        "delta_low": interval.low,
        "delta_high": interval.high,
        "crs": np.abs(delta) - LAMBDA * _within_topic_sd(evidence).ravel(),
        "q": benjamini_hochberg(p),
    }
    return Criterion(
        np.abs(moderated_t(difference)).reshape(shape), {name: value.reshape(shape) for name, value in columns.items()}
    )


def _within_topic_sd(evidence: Evidence) -> Scores:
    """τ0: sd of f(b) − f(b') over benign twins of one topic, √2 times the pooled within-topic sd of f(b)."""
    benign = evidence.frequency[evidence.pairs.benign].astype(np.float64)
    topics = np.array(evidence.pairs.topics)
    squares, freedom = np.zeros(benign.shape[1:]), 0
    for topic in np.unique(topics):
        inside = benign[topics == topic]
        squares += ((inside - inside.mean(0)) ** 2).sum(0)
        freedom += len(inside) - 1
    return np.sqrt(2 * squares / freedom) if freedom else np.zeros(benign.shape[1:])
