"""The evidence ladder of each expert, its rank, and whether it is flagged.

Rungs 1–3 (correlated, stable, significant) are routing evidence, 4–6 (causal, selective, replicated) causal evidence;
an expert can have the second without the first. Flagged means that 4, 5 and 6 all hold.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from analysis.evidence.causal import SIGNIFICANT, CausalTest
from analysis.evidence.confirmation import Confirmed
from analysis.evidence.search import Findings
from analysis.models import ExpertId
from analysis.statistics import Interval

STABLE = 0.8
RUNGS = ("correlated", "stable", "significant", "causal", "selective", "replicated")


@dataclass(frozen=True)
class ExpertEvidence:
    """One expert's place. `test` is its own ablation on the confirmation half (None where it was not ablated).

    `judged` is the test that the causal rungs speak of: the same, or that of the whole set when `how` is "in a set".
    `effect` is the loss of refusal margin in nats: alone, or, when `how` is "in a set", what the expert adds to that
    set.
    """

    expert: ExpertId
    rank: int
    flagged: bool
    how: Literal["alone", "in a set"] | None
    rungs: dict[str, bool]
    level: int
    test: CausalTest | None
    judged: CausalTest | None
    effect: Interval | None
    stability: float | None


def climb(
    findings: Findings,
    confirmed: Confirmed | None,
    layers: tuple[int, ...],
    experts: int,
    stability: npt.NDArray[np.float64] | None,
) -> list[ExpertEvidence]:
    """Every expert's ladder, best first."""
    everyone = [ExpertId(layer, e) for layer in layers for e in range(experts)]
    ladders = [
        _one(expert, (layers.index(expert.layer), expert.expert), findings, confirmed, stability) for expert in everyone
    ]
    order = _order(ladders, findings, layers)
    return [_ranked(ladders[index], rank) for rank, index in enumerate(order, start=1)]


def _ranked(ladder: ExpertEvidence, rank: int) -> ExpertEvidence:
    return ExpertEvidence(**{**ladder.__dict__, "rank": rank})


def _one(
    expert: ExpertId,
    cell: tuple[int, int],
    findings: Findings,
    confirmed: Confirmed | None,
    stability: npt.NDArray[np.float64] | None,
) -> ExpertEvidence:
    test = confirmed.scan.tests.get(expert) if confirmed else None
    how: Literal["alone", "in a set"] | None = None
    if confirmed and expert in confirmed.flagged:
        how = "in a set" if expert in confirmed.in_set else "alone"
    stable = None if stability is None else float(stability[cell])
    rungs = {**_routing_rungs(cell, findings, stable), **_causal_rungs(expert, findings, confirmed, how)}
    effect, judged = test.margin if test else None, test
    if how == "in a set" and confirmed and confirmed.grown:
        effect, judged = confirmed.grown.marginal_margin[expert], confirmed.grown.confirmation
    return ExpertEvidence(expert, 0, how is not None, how, rungs, _level(rungs), test, judged, effect, stable)


def _routing_rungs(cell: tuple[int, int], findings: Findings, stable: float | None) -> dict[str, bool]:
    raset = findings.criteria.get("raset")
    if raset is None:
        return dict.fromkeys(RUNGS[:3], False)
    low, high, q = (float(raset.columns[name][cell]) for name in ("delta_low", "delta_high", "q"))
    return {
        "correlated": low > 0 or high < 0,
        "stable": stable is not None and stable >= STABLE,
        "significant": q <= SIGNIFICANT,
    }


def _causal_rungs(
    expert: ExpertId, findings: Findings, confirmed: Confirmed | None, how: str | None
) -> dict[str, bool]:
    if how == "in a set":
        return dict.fromkeys(RUNGS[3:], True)
    here = findings.scan.tests.get(expert) if findings.scan else None
    there = confirmed.scan.tests.get(expert) if confirmed else None
    causal = here is not None and here.causal
    return {
        "causal": causal,
        "selective": causal and there is not None and there.selective,
        "replicated": causal and there is not None and there.causal,
    }


def _level(rungs: dict[str, bool]) -> int:
    """6, 5 or 4 when causal evidence reaches so far without a gap, else the highest rung of routing evidence without
    one.
    """
    if rungs["causal"]:
        return 6 if rungs["selective"] and rungs["replicated"] else 5 if rungs["selective"] else 4
    return next((i for i, name in enumerate(RUNGS[:3]) if not rungs[name]), 3)


def _order(ladders: list[ExpertEvidence], findings: Findings, layers: tuple[int, ...]) -> list[int]:
    """Flagged first, then by loss on the confirmation half, then on discovery, then by gradient, then by |t|."""

    def criterion(name: str, expert: ExpertId) -> float:
        found = findings.criteria.get(name)
        value = float("nan") if found is None else float(found.score[layers.index(expert.layer), expert.expert])
        return -np.inf if np.isnan(value) else value

    def key(index: int) -> tuple[bool, float, float, float, float, ExpertId]:
        one = ladders[index]
        confirmed = one.effect.estimate if one.effect and one.effect.estimate is not None else -np.inf
        scores = [criterion(name, one.expert) for name in ("ablation", "raset_gradient", "raset")]
        return (not one.flagged, -confirmed, -scores[0], -scores[1], -scores[2], one.expert)

    return sorted(range(len(ladders)), key=key)
