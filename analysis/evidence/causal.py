"""Does ablating this set do more than ablating experts like it? The test behind the causal rungs of the evidence
ladder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.evidence.bench import Effects
from analysis.statistics import (
    Interval,
    benjamini_hochberg,
    cluster_bootstrap_columns,
    empirical_p,
    paired_test,
    predictive_p,
)

FloatArray = npt.NDArray[np.float64]

MATERIAL = 0.1
"""The least loss of forced-choice refusal probability that is called an effect: 10 points."""
SIGNIFICANT = 0.05
SELECTIVE = 1 / 3


@dataclass(frozen=True)
class NullSummary:
    """The matched null of one test: mean and sd of its margin losses in nats, over `n` different sets; `values` are the
    losses one by one."""

    mean: float
    sd: float
    n: int
    values: tuple[float, ...] = ()


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
    q_values = benjamini_hochberg(excess_p(effects.margin, [null.margin for null in nulls], topics, seed))
    off_target = effects.off_target_ratio()
    margin = cluster_bootstrap_columns(effects.margin.T, topics, seed=seed, rows_if_few=True)
    refusal = cluster_bootstrap_columns(effects.refusal.T, topics, seed=seed, rows_if_few=True, bounds=(-1, 1))
    return [
        CausalTest(
            margin=margin.at(i),
            refusal=refusal.at(i),
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


def excess_p(
    losses: npt.NDArray[np.floating[Any]],
    nulls: Sequence[npt.NDArray[np.floating[Any]]],
    topics: Sequence[str | int],
    seed: int,
) -> FloatArray:
    """p of each set's excess over its null, the larger one of two: over the prompts, and over the null's sets.

    `losses` [sets, prompts] are margin losses, each of `nulls` [null sets, prompts] those of a set's matched null. Over
    the prompts: the paired excess over the null's mean (`paired_test`); over the sets: the chance that one more member
    of the null would lose so much (`predictive_p`). Either alone finds too much: experts differ from one another, so
    with enough prompts nearly every one differs from the mean of its null. 1 for a set that does less than its null, or
    has none of at least two.
    """
    excess = np.stack([row - (null.mean(0) if len(null) else row) for row, null in zip(losses, nulls, strict=True)], 1)
    # With fewer flips than this the smallest p could not survive a correction over so many tests.
    over_prompts = paired_test(excess.astype(np.float64), topics, most_flips=40 * len(nulls), seed=seed)
    over_sets = np.array(
        [predictive_p(float(row.mean()), null.mean(1)) for row, null in zip(losses, nulls, strict=True)]
    )
    return np.where(excess.mean(0) > 0, np.fmax(over_prompts, over_sets), 1.0)


def _summary(null: Effects) -> NullSummary:
    means = null.margin.mean(1, dtype=np.float64)
    return NullSummary(
        float(means.mean()) if len(means) else 0.0,
        float(means.std(ddof=1)) if len(means) > 1 else 0.0,
        len(means),
        tuple(means.tolist()),
    )
