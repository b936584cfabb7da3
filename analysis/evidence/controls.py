"""What else would end refusal? Controls beside the flagged experts: a dose curve, and always-busy experts.

The dose curve masks the 1, 2, 4, 8 … first experts of the audit's order together and holds each size against random
sets of that size, matched in layer and frequency. The committee is a set of the experts that are busiest on every kind
of text (Standing Committee, arXiv 2601.03425), none of them a suspect: whoever says that safety sits in an expert has
to show more than that the model needs its busy ones. Called by the audit, on the confirmation half, and in parts by
`mask_trial`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.evidence.bench import Bench, ExpertSet, Losses
from analysis.evidence.confirmation import Confirmed
from analysis.evidence.nulls import matched_sets
from analysis.evidence.search import Findings
from analysis.models import ExpertId, MoeLayer
from analysis.routing.trace import Progress
from analysis.shards import ShardStore
from analysis.statistics import Interval, cluster_bootstrap, empirical_p

COMMITTEE = 4
"""Size of the committee where nothing is flagged."""
_BAND = (2.5, 97.5)
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NullBand:
    """Mean losses of `n` random sets: their mean, and between which values 95 % of them lie (None without sets)."""

    mean: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> "NullBand":
        if not len(values):
            return cls(None, None, None, 0)
        low, high = np.percentile(values, _BAND)
        return cls(float(values.mean(dtype=np.float64)), float(low), float(high), len(values))


@dataclass(frozen=True)
class Dose:
    """`experts` masked together: losses of margin in nats and of refusal probability, each with its null band.

    `p_value` is (1 + number of null sets that lose as much margin or more) / (1 + number of null sets).
    """

    experts: ExpertSet
    margin: Interval
    refusal: Interval
    null: NullBand
    null_refusal: NullBand
    p_value: float


@dataclass(frozen=True)
class Committee:
    """The busiest experts, masked together; `frequency` is the mean of theirs, `off_target` as in `CausalTest`."""

    experts: ExpertSet
    frequency: float
    margin: Interval
    refusal: Interval
    off_target: float


@dataclass(frozen=True)
class Controls:
    """The dose curve, smallest size first, and the committee (None where too few experts are left for one)."""

    dose: tuple[Dose, ...]
    committee: Committee | None


def run_controls(
    bench: Bench,
    findings: Findings,
    confirmed: Confirmed,
    load: npt.NDArray[np.float32],
    shards: ShardStore,
    progress: Progress,
    *,
    largest: int,
    nulls: int,
    seed: int,
) -> Controls:
    """Dose curve up to `largest` experts with `nulls` random sets at each size, and the committee.

    `load` is f [MoE layers, experts] over all prompts. The order of experts is: flagged first, then by loss of margin
    on the discovery half, so that the confirmation half, on which all is measured, has no part in it.
    """
    scan = findings.scan
    assert scan is not None
    ordered = sorted(scan.experts, key=lambda e: (e not in confirmed.flagged, -scan.loss(e), e))
    suspects = {*findings.suspects, *findings.grown, *confirmed.flagged}
    doses = dose_sets(ordered, bench.model.seam.layers, largest=largest)
    known: dict[ExpertSet, int] = {(e,): row for row, e in enumerate(confirmed.scan.experts)}

    def losses(sets: Sequence[ExpertSet], key: str) -> Losses:
        """Single experts were ablated on this half already."""
        rows = [known.get(one) for one in sets]
        if rows and None not in rows:
            own = confirmed.scan.effects.take([row for row in rows if row is not None])
            return Losses(own.margin, own.refusal)
        return bench.losses(sets, shards, key, progress=progress, stage="controls")

    curve = []
    for members in doses:
        size = len(members)
        sets = random_sets(bench.model.seam.layers, members, suspects, load, count=nulls, seed=seed)
        curve.append(
            dose(members, losses([members], f"dose-{size}"), losses(sets, f"dose-{size}-null"), bench.topics, seed=seed)
        )
    busy = busiest(
        bench.model.seam.layers, load, size=len(confirmed.flagged) or COMMITTEE, leaving_out={*suspects, *ordered[:1]}
    )
    return Controls(tuple(curve), committee(bench, busy, load, shards, progress, seed=seed))


def dose_sets(ordered: Sequence[ExpertId], layers: Sequence[MoeLayer], *, largest: int) -> list[ExpertSet]:
    """The first 1, 2, 4, 8 … of `ordered`, at most `largest` and half of them.

    An expert that would leave its layer with fewer than top-k others is passed over.
    """
    spare = {layer.layer: layer.experts - layer.top_k for layer in layers}
    taken: list[ExpertId] = []
    for expert in ordered:
        if len(taken) == largest:
            break
        if spare[expert.layer] > 0:
            spare[expert.layer] -= 1
            taken.append(expert)
    limit = min(len(taken), max(1, len(ordered) // 2))
    return [tuple(sorted(taken[: 2**power])) for power in range(limit.bit_length())]


def random_sets(
    layers: Sequence[MoeLayer],
    target: ExpertSet,
    suspects: Collection[ExpertId],
    load: npt.NDArray[np.float32],
    *,
    count: int,
    seed: int,
    pool: Collection[ExpertId] | None = None,
) -> list[ExpertSet]:
    """Sets matched to `target` in size, layer and frequency, of everyone (or of `pool`) but the suspects."""
    everyone = [ExpertId(layer.layer, e) for layer in layers for e in range(layer.experts)] if pool is None else pool
    free = [e for e in everyone if e not in suspects]
    top_k = max(layer.top_k for layer in layers)
    return matched_sets(target, free, load, [layer.layer for layer in layers], count=count, top_k=top_k, seed=seed)


def dose(members: ExpertSet, own: Losses, null: Losses, topics: Sequence[str], *, seed: int) -> Dose:
    """One point of the curve from the losses of the set ([1, prompts]) and of its random sets ([sets, prompts])."""
    margin, refusal = losses_over_topics(own, topics, seed=seed)
    means = null.margin.mean(1)
    return Dose(
        members,
        margin,
        refusal,
        NullBand.of(means),
        NullBand.of(null.refusal.mean(1)),
        empirical_p(float(own.margin[0].mean()), means),
    )


def busiest(
    layers: Sequence[MoeLayer],
    load: npt.NDArray[np.float32],
    *,
    size: int,
    leaving_out: Collection[ExpertId] = (),
) -> ExpertSet:
    """The `size` experts with the highest frequency in `load` [MoE layers, experts]; () where there are too few.

    No layer gives so many that a token would find fewer than top-k.
    """
    everyone = [ExpertId(layer.layer, e) for layer in layers for e in range(layer.experts)]
    place = {layer.layer: layer.position for layer in layers}
    spare = {layer.layer: layer.experts - layer.top_k for layer in layers}
    taken: list[ExpertId] = []
    for expert in sorted(everyone, key=lambda e: (-float(load[place[e.layer], e.expert]), e)):
        if expert not in leaving_out and spare[expert.layer] > 0 and len(taken) < size:
            spare[expert.layer] -= 1
            taken.append(expert)
    return tuple(sorted(taken)) if len(taken) == size else ()


def committee(
    bench: Bench,
    members: ExpertSet,
    load: npt.NDArray[np.float32],
    shards: ShardStore,
    progress: Progress,
    *,
    seed: int,
) -> Committee | None:
    """What masking `members` does on the bench's prompts."""
    if not members:
        return None
    effects = bench.ablate([members], shards, "committee", progress=progress, stage="controls")
    place = {layer.layer: layer.position for layer in bench.model.seam.layers}
    margin, refusal = losses_over_topics(Losses(effects.margin, effects.refusal), bench.topics, seed=seed)
    frequency = float(np.mean([load[place[e.layer], e.expert] for e in members]))
    return Committee(members, frequency, margin, refusal, float(effects.off_target_ratio()[0]))


def losses_over_topics(own: Losses, topics: Sequence[str], *, seed: int) -> tuple[Interval, Interval]:
    """Loss of margin and of refusal probability of the one set in `own`, with topic-cluster intervals."""
    margin = cluster_bootstrap(own.margin[0], topics, seed=seed, rows_if_few=True)
    return margin, cluster_bootstrap(own.refusal[0], topics, seed=seed, rows_if_few=True, bounds=(-1, 1))
