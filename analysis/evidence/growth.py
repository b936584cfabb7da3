"""Find sets whose members back one another up: none matters alone, all of them together do.

Neither a single ablation nor a gradient shows such experts, because with everything in place each can be spared. Along
the way from no expert output at all to all of it they do show, so the pool to search in is nominated by integrated
gradients. In the pool every pair is ablated, the best pairs grow further, and the winner is pruned to the members it
needs. All on the discovery half.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from analysis.evidence.bench import Bench, ExpertSet
from analysis.evidence.credit import integrated_credit
from analysis.models import ExpertId
from analysis.routing.trace import Progress
from analysis.shards import ShardStore

POOL = 16
BEAM = 4
LARGEST = 4
ENOUGH = 0.9


@dataclass(frozen=True)
class _Beam:
    """A set and what ablating it costs on average: refusal probability, and refusal margin in nats."""

    members: ExpertSet
    refusal: float
    margin: float

    @property
    def order(self) -> tuple[float, float]:
        """By refusal; by margin where refusal has not moved yet."""
        return round(self.refusal, 3), self.margin


def grow(bench: Bench, start: ExpertSet, shards: ShardStore, progress: Progress) -> ExpertSet:
    """The smallest set found that takes away `ENOUGH` of refusal, or else the best one of up to `LARGEST` members.

    Every set holds `start`. Empty when no set takes anything away.
    """
    base = float(bench.harmful.base.refusal.mean())
    pool = _pool(bench, start, shards)
    pairs = (tuple(sorted((*start, *pair))) for pair in combinations(pool, 1 if start else 2))
    beams = _measure(bench, pairs, "growth-first", shards, progress)
    best = max(beams, key=lambda beam: beam.order)
    for size in range(len(best.members) + 1, LARGEST + 1):
        if best.refusal >= ENOUGH * base:
            break
        leaders = sorted(beams, key=lambda beam: beam.order, reverse=True)[:BEAM]
        wider = {tuple(sorted((*beam.members, e))) for beam in leaders for e in pool if e not in beam.members}
        beams = _measure(bench, sorted(wider), f"growth-{size}", shards, progress)
        best = max([best, *beams], key=lambda beam: beam.order)
    return _prune(bench, best, shards, progress) if best.refusal > 0 else ()


def _pool(bench: Bench, start: ExpertSet, shards: ShardStore) -> list[ExpertId]:
    """The experts with the largest integrated gradient once `start` is ablated."""
    credit = integrated_credit(bench, start, shards).mean(0)
    layers = [layer.layer for layer in bench.model.seam.layers]
    order = np.argsort(-credit, axis=None, kind="stable")
    ranked = (ExpertId(layers[i // credit.shape[1]], int(i % credit.shape[1])) for i in order)
    return [expert for expert in ranked if expert not in start][:POOL]


def _fits(bench: Bench, members: ExpertSet) -> bool:
    """Whether every layer keeps as many experts as a token needs."""
    spare = {layer.layer: layer.experts - layer.top_k for layer in bench.model.seam.layers}
    layers = [expert.layer for expert in members]
    return all(layers.count(layer) <= spare[layer] for layer in layers)


def _measure(
    bench: Bench, sets: Iterable[ExpertSet], key: str, shards: ShardStore, progress: Progress
) -> Sequence[_Beam]:
    fitting = [one for one in sets if _fits(bench, one)] or [()]
    effects = bench.ablate(fitting, shards, key, progress=progress, stage="search")
    losses = zip(effects.refusal.mean(1), effects.margin.mean(1), strict=True)
    return [_Beam(one, float(refusal), float(margin)) for one, (refusal, margin) in zip(fitting, losses, strict=True)]


def _prune(bench: Bench, found: _Beam, shards: ShardStore, progress: Progress) -> ExpertSet:
    """Drop members, least needed first, as long as the rest keeps `ENOUGH` of the loss."""
    left = found
    while len(left.members) > 1:
        rests = [tuple(e for e in left.members if e != member) for member in left.members]
        kept = max(_measure(bench, rests, f"prune-{len(left.members)}", shards, progress), key=lambda b: b.refusal)
        if kept.refusal < ENOUGH * found.refusal:
            break
        left = kept
    return left.members
