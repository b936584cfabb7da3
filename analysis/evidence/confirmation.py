"""The last word, on the half that was not looked at: single experts, the grown set, matched nulls, and what stays
standing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.evidence.bench import Bench, ExpertSet
from analysis.evidence.causal import MATERIAL, CausalTest, causal_tests
from analysis.evidence.nulls import matched_sets
from analysis.evidence.search import Findings, Scan, scan_alone
from analysis.models import ExpertId
from analysis.routing.trace import Progress
from analysis.shards import ShardStore
from analysis.statistics import Interval, cluster_bootstrap

CONFIRM_ALL = 256
CONFIRM_TOP = 16


@dataclass(frozen=True)
class SetResult:
    """A set on both halves, and what each member adds to it on the confirmation half (loss of refusal probability)."""

    members: ExpertSet
    discovery: CausalTest
    confirmation: CausalTest
    marginal: dict[ExpertId, Interval]
    marginal_margin: dict[ExpertId, Interval]

    @property
    def holds(self) -> bool:
        """Causal on both halves, selective, and no member idle."""
        needed = all((marginal.estimate or 0) >= MATERIAL for marginal in self.marginal.values())
        return self.discovery.causal and self.confirmation.causal and self.confirmation.selective and needed


@dataclass(frozen=True)
class Confirmed:
    """What holds. `flagged` is empty when no such expert was found; `in_set` are those flagged only as members of
    `grown`.
    """

    scan: Scan
    grown: SetResult | None
    flagged: ExpertSet
    in_set: ExpertSet
    null_sets: tuple[ExpertSet, ...]
    together: CausalTest | None
    rerouted: tuple[Interval, Interval] | None


def confirm(
    discovery: Bench,
    bench: Bench,
    findings: Findings,
    load: npt.NDArray[np.float32],
    shards: ShardStore,
    progress: Progress,
    *,
    nulls: int,
    seed: int,
) -> Confirmed:
    """Repeat on the confirmation half whatever the discovery half suggested."""
    assert findings.scan is not None
    experts = _to_confirm(findings)
    scan = scan_alone(
        bench, experts, findings.null_pool, load, findings.suspects, shards, progress, seed=seed, stage="confirmation"
    )
    alone = tuple(e for e in findings.suspects if scan.tests[e].causal and scan.tests[e].selective)
    grown = None
    if findings.grown:
        grown = _test_set(discovery, bench, findings, load, shards, progress, nulls=nulls, seed=seed)
    in_set = tuple(e for e in grown.members if e not in alone) if grown is not None and grown.holds else ()
    flagged = tuple(sorted({*alone, *in_set}))
    if not flagged:
        return Confirmed(scan, grown, (), (), (), None, None)
    sets = _null_sets(bench, flagged, findings, load, nulls, seed)
    together = _test_against(bench, flagged, sets, shards, progress, key="flagged", seed=seed)
    rerouted = bench.ablate(
        [flagged], shards, "flagged-reroute", mode="mask_reroute", progress=progress, stage="confirmation"
    )
    intervals = tuple(
        cluster_bootstrap(values[0], bench.topics, seed=seed, rows_if_few=True)
        for values in (rerouted.margin, rerouted.refusal)
    )
    return Confirmed(scan, grown, flagged, in_set, tuple(sets), together, (intervals[0], intervals[1]))


def _to_confirm(findings: Findings) -> list[ExpertId]:
    scan = findings.scan
    assert scan is not None
    if len(scan.experts) <= CONFIRM_ALL:
        return list(scan.experts)
    ranked = sorted(scan.experts, key=scan.loss, reverse=True)[:CONFIRM_TOP]
    return sorted({*ranked, *findings.suspects, *findings.grown, *findings.null_pool[:CONFIRM_ALL]})


def _null_sets(
    bench: Bench, target: ExpertSet, findings: Findings, load: npt.NDArray[np.float32], count: int, seed: int
) -> list[ExpertSet]:
    layers = bench.model.seam.layers
    everyone = [ExpertId(layer.layer, e) for layer in layers for e in range(layer.experts)]
    free = [e for e in everyone if e not in findings.suspects and e not in findings.grown]
    top_k = max(layer.top_k for layer in layers)
    return matched_sets(target, free, load, [layer.layer for layer in layers], count=count, top_k=top_k, seed=seed)


def _test_against(
    bench: Bench,
    target: ExpertSet,
    sets: Sequence[ExpertSet],
    shards: ShardStore,
    progress: Progress,
    *,
    key: str,
    seed: int,
) -> CausalTest:
    effects = bench.ablate([target], shards, key, progress=progress, stage="confirmation")
    null = bench.ablate(sets, shards, f"{key}-null", progress=progress, stage="confirmation")
    return causal_tests(effects, [null], bench.topics, seed=seed)[0]


def _test_set(
    discovery: Bench,
    bench: Bench,
    findings: Findings,
    load: npt.NDArray[np.float32],
    shards: ShardStore,
    progress: Progress,
    *,
    nulls: int,
    seed: int,
) -> SetResult:
    members = findings.grown
    sets = _null_sets(bench, members, findings, load, nulls, seed)
    tests = [
        _test_against(half, members, sets, shards, progress, key="grown", seed=seed) for half in (discovery, bench)
    ]
    rests = [tuple(e for e in members if e != member) for member in members]
    without = bench.ablate(rests, shards, "grown-without", progress=progress, stage="confirmation")
    whole = bench.ablate([members], shards, "grown", progress=progress, stage="confirmation")
    marginal = {
        member: cluster_bootstrap(whole.refusal[0] - without.refusal[i], bench.topics, seed=seed, rows_if_few=True)
        for i, member in enumerate(members)
    }
    margins = {
        member: cluster_bootstrap(whole.margin[0] - without.margin[i], bench.topics, seed=seed, rows_if_few=True)
        for i, member in enumerate(members)
    }
    return SetResult(members, tests[0], tests[1], marginal, margins)
