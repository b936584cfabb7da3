"""Random experts that a suspect has to beat: matched in number, layer and selection frequency."""

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from analysis.evidence.bench import ExpertSet
from analysis.models import ExpertId

_CLOSEST = 24


def by_likeness(
    target: ExpertId, pool: Collection[ExpertId], load: npt.NDArray[np.float32], layers: Sequence[int]
) -> list[ExpertId]:
    """`pool` from most to least like `target`: same layer first, then the nearest layers; within a layer by frequency.

    `load` is f [MoE layers, experts]; `layers` the MoE layers' indices in the model.
    """
    place = {layer: position for position, layer in enumerate(layers)}

    def frequency(expert: ExpertId) -> float:
        return float(load[place[expert.layer], expert.expert])

    own = frequency(target)
    others = [expert for expert in pool if expert != target]
    return sorted(others, key=lambda e: (abs(place[e.layer] - place[target.layer]), abs(frequency(e) - own), e))


def matched_sets(
    target: ExpertSet,
    pool: Collection[ExpertId],
    load: npt.NDArray[np.float32],
    layers: Sequence[int],
    *,
    count: int,
    top_k: int,
    seed: int,
) -> list[ExpertSet]:
    """Up to `count` different random sets, each member drawn from the experts most like its counterpart in `target`.

    Fewer come back when the model has no more; no set takes so many experts of a layer that top-k could not be met.
    """
    rng = np.random.default_rng(seed)
    free = [expert for expert in pool if expert not in target]
    alike = [
        by_likeness(expert, free, load, layers)[: max(_CLOSEST, count if len(target) == 1 else 0)] for expert in target
    ]
    limit = load.shape[1] - top_k
    found: dict[ExpertSet, None] = {}
    for _ in range(count * 20):
        if len(found) == count:
            break
        drawn = _draw(alike, rng)
        if drawn is not None and max(sum(e.layer == d.layer for d in drawn) for e in drawn) <= limit:
            found[drawn] = None
    return list(found)


def _draw(alike: Sequence[Sequence[ExpertId]], rng: np.random.Generator) -> ExpertSet | None:
    chosen: list[ExpertId] = []
    for candidates in alike:
        left = [expert for expert in candidates if expert not in chosen]
        if not left:
            return None
        chosen.append(left[int(rng.integers(len(left)))])
    return tuple(sorted(chosen))
