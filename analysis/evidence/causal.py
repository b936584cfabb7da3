"""Does ablating this set do more than ablating experts like it? The test behind the causal rungs of the evidence
ladder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.evidence.bench import Effects
from analysis.statistics import Interval, benjamini_hochberg, cluster_bootstrap, empirical_p, sign_flip_test

MATERIAL = 0.1
"""The least loss of forced-choice refusal probability that is called an effect: 10 points."""
SIGNIFICANT = 0.05
SELECTIVE = 1 / 3


@dataclass(frozen=True)
class NullSummary:
    """The matched null of one test: mean and sd of its margin losses in nats, over `n` different sets."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class CausalTest:
    """One set on one half. `margin` in nats and `refusal` in [0, 1] are losses with topic-cluster intervals.

    `p_value` is the set's place in its matched null, `q_value` belongs to the paired excess over that null, adjusted
    over all sets tested together (Benjamini–Hochberg); `off_target` is the worst side effect as a share of the effect.
    """

    margin: Interval
    refusal: Interval
    null: NullSummary
    p_value: float
    q_value: float
    off_target: float

    @property
    def causal(self) -> bool:
        """Beats its matched null, after correction, by enough to matter."""
        return (
            self.p_value <= SIGNIFICANT
            and self.q_value <= SIGNIFICANT
            and (self.refusal.estimate or 0) >= MATERIAL
            and (self.refusal.low or 0) > 0
        )

    @property
    def selective(self) -> bool:
        return self.off_target <= SELECTIVE


def causal_tests(effects: Effects, nulls: Sequence[Effects], topics: Sequence[str], *, seed: int) -> list[CausalTest]:
    """Test each set of `effects` against its own null; the q values are adjusted over all of them."""
    q_values = benjamini_hochberg(
        np.array([_excess_p(row, null, topics, seed) for row, null in zip(effects.margin, nulls, strict=True)])
    )
    off_target = effects.off_target_ratio()
    return [
        CausalTest(
            margin=cluster_bootstrap(effects.margin[i], topics, seed=seed, rows_if_single=True),
            refusal=cluster_bootstrap(effects.refusal[i], topics, seed=seed, rows_if_single=True),
            null=_summary(null),
            p_value=empirical_p(float(effects.margin[i].mean()), null.margin.mean(1)),
            q_value=float(q_values[i]),
            off_target=float(off_target[i]),
        )
        for i, null in enumerate(nulls)
    ]


def _excess_p(margin: np.ndarray, null: Effects, topics: Sequence[str], seed: int) -> float:
    """One-sided: a set that does less than its null has p = 1."""
    if not len(null):
        return 1.0
    excess = (margin - null.margin.mean(0)).astype(np.float64)
    return float(sign_flip_test(excess[:, None], topics, seed=seed)[0]) if excess.mean() > 0 else 1.0


def _summary(null: Effects) -> NullSummary:
    means = null.margin.mean(1, dtype=np.float64)
    return NullSummary(
        float(means.mean()) if len(means) else 0.0, float(means.std(ddof=1)) if len(means) > 1 else 0.0, len(means)
    )
