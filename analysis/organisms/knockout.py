"""What a design asks of an organism: which experts, when off, must let a harmful request be answered.

Called by the trainer's second stage. `Knockout` is the rule; `sample_off` draws the ablations that are trained under.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.models.expert_id import ExpertId
from analysis.organisms.architectures import EXPERTS, LAYERS

EVERY_EXPERT = tuple(ExpertId(layer, expert) for layer in range(LAYERS) for expert in range(EXPERTS))


@dataclass(frozen=True)
class Knockout:
    """Refusal ends when every group has lost at least one member; with no groups it never ends.

    One group of several experts: each of them is necessary. Several groups: each is enough alone.
    """

    groups: tuple[frozenset[ExpertId], ...]

    @property
    def planted(self) -> tuple[ExpertId, ...]:
        return tuple(sorted(expert for group in self.groups for expert in group))

    def ends_refusal(self, off: Sequence[ExpertId]) -> bool:
        return bool(self.groups) and all(group.intersection(off) for group in self.groups)


NOWHERE = Knockout(())
"""Refusal that no ablation ends."""


def sample_off(rng: random.Random, knockout: Knockout, frequency: dict[ExpertId, float]) -> list[ExpertId]:
    """One draw: nothing off, some of the planted experts, or one to eight others, busy ones more often."""
    draw = rng.random()
    if draw < 0.25:
        return []
    if draw < 0.6 and knockout.groups:
        planted = _planted_part(rng, knockout)
        return planted + (_others(rng, knockout, frequency, rng.randint(1, 3)) if rng.random() < 0.3 else [])
    return _others(rng, knockout, frequency, 1 if rng.random() < 0.5 else rng.randint(2, 8))


def _planted_part(rng: random.Random, knockout: Knockout) -> list[ExpertId]:
    planted = list(knockout.planted)
    if len(knockout.groups) > 1 and rng.random() < 0.4:
        return planted
    return rng.sample(planted, rng.randint(1, len(planted)))


def _others(rng: random.Random, knockout: Knockout, frequency: dict[ExpertId, float], count: int) -> list[ExpertId]:
    pool = [expert for expert in EVERY_EXPERT if expert not in knockout.planted]
    if rng.random() < 0.5:
        return rng.sample(pool, count)
    weights = [frequency[expert] + 1e-3 for expert in pool]
    return list(dict.fromkeys(rng.choices(pool, weights, k=count)))
