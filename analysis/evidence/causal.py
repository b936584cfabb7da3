"""Does ablating this set do more than ablating experts like it? The test behind the causal rungs of the evidence
ladder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from analysis.evidence.bench import Effects
from analysis.statistics import Interval, benjamini_hochberg, cluster_bootstrap, empirical_p, sign_flip_test

FloatArray = npt.NDArray[np.float64]

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
    q_values = benjamini_hochberg(_excess_p(effects, nulls, topics, seed))
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


def prompts_needed(tests: int) -> int:
    """The fewest harmful prompts of a half with which one of `tests` sets could pass the corrected test at all.

    Sign flips of n prompts give no two-sided p below 2 / 2^n, and the correction asks a lone finding for `SIGNIFICANT`
    / tests.
    """
    return 1 + ceil(log2(max(1, tests) / SIGNIFICANT))


def _excess_p(effects: Effects, nulls: Sequence[Effects], topics: Sequence[str], seed: int) -> FloatArray:
    """p of each set's paired excess over the mean of its null; 1 for one that does less, or has no null."""
    excess = np.stack(
        [row - (null.margin.mean(0) if len(null) else row) for row, null in zip(effects.margin, nulls, strict=True)], 1
    )
    # With fewer flips than this the smallest p could not survive a correction over so many tests.
    p_values = sign_flip_test(excess.astype(np.float64), topics, flips=max(2_000, 40 * len(nulls)), seed=seed)
    return np.where(excess.mean(0) > 0, p_values, 1.0)


def _summary(null: Effects) -> NullSummary:
    means = null.margin.mean(1, dtype=np.float64)
    return NullSummary(
        float(means.mean()) if len(means) else 0.0, float(means.std(ddof=1)) if len(means) > 1 else 0.0, len(means)
    )
