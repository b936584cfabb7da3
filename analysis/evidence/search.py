"""Look in the discovery half: score every expert by every criterion, ablate the candidates, grow sets.

Nothing found here is called safety-critical; `confirmation` has the last word on prompts that were not looked at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from analysis.criteria import CRITERIA, Criterion, Evidence
from analysis.errors import WithheldError
from analysis.evidence.bench import Bench, Effects, ExpertSet
from analysis.evidence.causal import CausalTest, causal_tests
from analysis.evidence.credit import integrated_credit
from analysis.evidence.growth import grow
from analysis.evidence.nulls import by_likeness
from analysis.models import ExpertId
from analysis.routing.trace import Progress
from analysis.shards import Shard, ShardStore

SCAN_ALL = 2_048
NULL_POOL = 128
NULLS = 100
FEW = 0.1


@dataclass(frozen=True)
class Scan:
    """Experts ablated one at a time on a half, with the test of each in the order of `experts`."""

    experts: tuple[ExpertId, ...]
    effects: Effects
    tests: dict[ExpertId, CausalTest]

    def loss(self, expert: ExpertId) -> float:
        """Mean loss of refusal margin in nats."""
        return float(self.effects.margin[self.experts.index(expert)].mean())


@dataclass(frozen=True)
class Findings:
    """What the discovery half suggests. `criteria` and `withheld` together cover the registry.

    `scan` is None when the model has no refusal margin. `suspects` do harm alone, `grown` as a set (empty if none).
    """

    criteria: dict[str, Criterion]
    withheld: dict[str, str]
    scan: Scan | None
    suspects: ExpertSet
    grown: ExpertSet
    null_pool: tuple[ExpertId, ...]


def search(
    evidence: Evidence,
    bench: Bench | None,
    load: npt.NDArray[np.float32],
    shards: ShardStore,
    progress: Progress,
    *,
    top: int,
) -> Findings:
    """Score, ablate, grow. `load` is f [MoE layers, experts] over all prompts, for matching; `top` the candidates per
    criterion.
    """
    if bench is None:
        criteria, withheld = _score(evidence, CRITERIA)
        return Findings(criteria, withheld, None, (), (), ())
    evidence = with_integrated(with_gradients(evidence, bench, shards, progress), bench, shards)
    everyone = _everyone(bench)
    pool = _null_pool(everyone, evidence.seed)
    first, withheld = _score(evidence, [name for name in CRITERIA if name != "ablation"])
    chosen = everyone if len(everyone) <= SCAN_ALL else tuple(sorted({*_candidates(bench, first, top), *pool}))
    scan = scan_alone(bench, chosen, pool, load, (), shards, progress, seed=evidence.seed, stage="criteria")
    suspects = tuple(e for e in chosen if scan.tests[e].causal)
    if 0 < len(suspects) <= FEW * len(chosen):
        scan = retest(bench, scan, pool, load, suspects, seed=evidence.seed)
        suspects = tuple(e for e in chosen if scan.tests[e].causal)
    last, missing = _score(replace(evidence, ablation=ablation_scores(evidence, bench, scan)), ["ablation"])
    criteria = {name: found for name in CRITERIA if (found := {**first, **last}.get(name)) is not None}
    grown = _grown(bench, suspects, shards, progress)
    return Findings(criteria, {**withheld, **missing}, scan, suspects, grown, pool)


def with_gradients(evidence: Evidence, bench: Bench, shards: ShardStore, progress: Progress) -> Evidence:
    """The evidence with the gradients of the refusal margin on the bench's prompts."""
    progress("criteria", 0, 1)
    shard = shards.once(
        "gradient", lambda: Shard({"harmful": bench.harmful.gradient(), "benign": bench.benign.gradient()})
    )
    return replace(evidence, gradient_harmful=shard.arrays["harmful"], gradient_benign=shard.arrays["benign"])


def with_integrated(evidence: Evidence, bench: Bench, shards: ShardStore) -> Evidence:
    """The evidence with the integrated gradients of the refusal margin on the bench's harmful prompts."""
    return replace(evidence, integrated=integrated_credit(bench, (), shards))


def _score(evidence: Evidence, names: Iterable[str]) -> tuple[dict[str, Criterion], dict[str, str]]:
    criteria: dict[str, Criterion] = {}
    withheld: dict[str, str] = {}
    for name in names:
        try:
            found = criteria[name] = CRITERIA[name][1](evidence)
        except WithheldError as reason:
            withheld[f"experts.scores.{name}"] = reason.message
        else:
            withheld |= {f"experts.details.{name}.{column}": why for column, why in found.withheld.items()}
    return criteria, withheld


def _everyone(bench: Bench) -> tuple[ExpertId, ...]:
    return tuple(ExpertId(layer.layer, e) for layer in bench.model.seam.layers for e in range(layer.experts))


def _null_pool(everyone: tuple[ExpertId, ...], seed: int) -> tuple[ExpertId, ...]:
    """Whom to draw nulls from: everyone in a small model, else a seeded sample spread over all layers."""
    if len(everyone) <= SCAN_ALL:
        return everyone
    shuffled = np.random.default_rng(seed).permutation(len(everyone))
    by_layer: dict[int, list[ExpertId]] = {}
    for index in shuffled:
        by_layer.setdefault(everyone[index].layer, []).append(everyone[index])
    share = -(-NULL_POOL // len(by_layer))
    return tuple(sorted(e for members in by_layer.values() for e in members[:share]))


def _candidates(bench: Bench, criteria: dict[str, Criterion], top: int) -> set[ExpertId]:
    everyone = _everyone(bench)
    best = (np.argsort(-criterion.score, axis=None, kind="stable")[:top] for criterion in criteria.values())
    return {everyone[index] for indices in best for index in indices}


def scan_alone(
    bench: Bench,
    experts: Sequence[ExpertId],
    pool: Sequence[ExpertId],
    load: npt.NDArray[np.float32],
    suspects: ExpertSet,
    shards: ShardStore,
    progress: Progress,
    *,
    seed: int,
    stage: str,
) -> Scan:
    """Ablate each expert alone and test it against the experts of `pool` most like it, leaving out `suspects`."""
    effects = bench.ablate([(e,) for e in experts], shards, "alone", progress=progress, stage=stage)
    return retest(bench, Scan(tuple(experts), effects, {}), pool, load, suspects, seed=seed)


def retest(
    bench: Bench, scan: Scan, pool: Sequence[ExpertId], load: npt.NDArray[np.float32], suspects: ExpertSet, *, seed: int
) -> Scan:
    """The same effects against nulls without `suspects`, which would otherwise be each other's null."""
    layers = [layer.layer for layer in bench.model.seam.layers]
    row = {expert: i for i, expert in enumerate(scan.experts)}
    free = [e for e in pool if e in row and e not in suspects]
    nulls = [
        scan.effects.take([row[e] for e in by_likeness(expert, free, load, layers)[:NULLS]]) for expert in scan.experts
    ]
    tests = causal_tests(scan.effects, nulls, bench.topics, seed=seed)
    return Scan(scan.experts, scan.effects, dict(zip(scan.experts, tests, strict=True)))


def ablation_scores(evidence: Evidence, bench: Bench, scan: Scan) -> npt.NDArray[np.float64]:
    """Mean loss of margin [layers, experts] of each scanned expert; NaN for the others."""
    scores = np.full(evidence.frequency.shape[1:], np.nan)
    place = {layer.layer: layer.position for layer in bench.model.seam.layers}
    for expert, margin in zip(scan.experts, scan.effects.margin.mean(1), strict=True):
        scores[place[expert.layer], expert.expert] = margin
    return scores


def _grown(bench: Bench, suspects: ExpertSet, shards: ShardStore, progress: Progress) -> ExpertSet:
    """A set worth confirming; () when the suspects alone already take half of refusal away, or none was found."""
    if suspects:
        together = bench.ablate([suspects], shards, "suspects", progress=progress, stage="search")
        if float(together.refusal.mean()) >= float(bench.harmful.base.refusal.mean()) / 2:
            return ()
    found = grow(bench, suspects, shards, progress)
    return found if len(found) > 1 else ()
