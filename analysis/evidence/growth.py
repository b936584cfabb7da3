"""Find sets whose members back one another up: none matters alone, all of them together do.

A beam search on the discovery half. After each step the gradient is taken again with the set so far ablated, because a
backup shows only once what it backs up is gone. The winner is pruned to the members it needs.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from analysis.evidence.bench import Bench, Effects, ExpertSet
from analysis.interventions import mask
from analysis.models import ExpertId
from analysis.routing.trace import Progress
from analysis.shards import Shard, ShardStore

BEAM = 4
WIDTH = 12
LARGEST = 4
ENOUGH = 0.9


def grow(
    bench: Bench,
    start: ExpertSet,
    ranked: Sequence[ExpertId],
    shards: ShardStore,
    progress: Progress,
    *,
    largest: int = LARGEST,
) -> ExpertSet:
    """The smallest set found that takes away `ENOUGH` of refusal, or else the best of at most `largest` experts beyond
    `start`.

    `ranked` are all experts, most suspect first; they join the gradient's nominations. Empty when nothing was to be
    found.
    """
    base = float(bench.harmful.base.refusal.mean())
    beams: list[ExpertSet] = [tuple(sorted(start))]
    best: tuple[float, ExpertSet] = (0.0, beams[0])
    for size in range(1, largest + 1):
        options = _options(bench, beams, ranked, shards, f"growth-{size}")
        effects = bench.ablate(options, shards, f"growth-{size}-sets", progress=progress, stage="search")
        order = np.lexsort((-effects.margin.mean(1), -effects.refusal.mean(1).round(3)))
        beams = [options[i] for i in order[:BEAM]]
        loss = float(effects.refusal[order[0]].mean())
        best = max(best, (loss, beams[0]), key=lambda one: one[0])
        if loss >= ENOUGH * base:
            break
    return _prune(bench, best[1], shards, progress) if best[0] > 0 else ()


def _options(
    bench: Bench, beams: Sequence[ExpertSet], ranked: Sequence[ExpertId], shards: ShardStore, key: str
) -> list[ExpertSet]:
    layers = {layer.layer: layer for layer in bench.model.seam.layers}
    options: dict[ExpertSet, None] = {}
    for number, beam in enumerate(beams):
        gradient = shards.once(f"{key}-gradient-{number}", lambda beam=beam: _gradient(bench, beam)).arrays["gradient"]  # type: ignore[misc]
        for expert in _nominated(bench, gradient, ranked, beam):
            members = tuple(sorted((*beam, expert)))
            layer = layers[expert.layer]
            if sum(e.layer == expert.layer for e in members) <= layer.experts - layer.top_k:
                options[members] = None
    return list(options)


def _gradient(bench: Bench, beam: ExpertSet) -> Shard:
    gradient = bench.harmful.gradient(mask(bench.model.seam, beam)).mean(0)
    return Shard({"gradient": gradient})


def _nominated(
    bench: Bench, gradient: npt.NDArray[np.float32], ranked: Sequence[ExpertId], beam: ExpertSet
) -> Iterable[ExpertId]:
    layers = [layer.layer for layer in bench.model.seam.layers]
    order = np.argsort(-gradient, axis=None, kind="stable")[: WIDTH + len(beam)]
    by_gradient = [ExpertId(layers[i // gradient.shape[1]], int(i % gradient.shape[1])) for i in order]
    nominated = dict.fromkeys([e for e in by_gradient if e not in beam][:WIDTH])
    nominated.update(dict.fromkeys([e for e in ranked if e not in beam][:BEAM]))
    return nominated


def _prune(bench: Bench, found: ExpertSet, shards: ShardStore, progress: Progress) -> ExpertSet:
    """Drop members, least needed first, as long as the rest keeps `ENOUGH` of the loss."""
    whole = _loss(bench.ablate([found], shards, "prune-whole", progress=progress, stage="search"))[0]
    while len(found) > 1:
        rests = [tuple(e for e in found if e != member) for member in found]
        losses = _loss(bench.ablate(rests, shards, f"prune-{len(found)}", progress=progress, stage="search"))
        kept = int(np.argmax(losses))
        if losses[kept] < ENOUGH * whole:
            break
        found = rests[kept]
    return found


def _loss(effects: Effects) -> npt.NDArray[np.float64]:
    losses: npt.NDArray[np.float64] = effects.refusal.mean(1, dtype=np.float64)
    return losses
