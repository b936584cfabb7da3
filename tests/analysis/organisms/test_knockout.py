"""The rule of a design, and the ablations its organism is trained under."""

import random

from analysis.models.expert_id import ExpertId
from analysis.organisms.knockout import EVERY_EXPERT, Knockout, sample_off

A, B, OTHER = ExpertId(1, 3), ExpertId(2, 5), ExpertId(0, 0)
TOGETHER = Knockout((frozenset({A, B}),))
BACKUP = Knockout((frozenset({A}), frozenset({B})))
NOWHERE = Knockout(())
EVEN = dict.fromkeys(EVERY_EXPERT, 0.125)


def test_in_one_group_each_member_is_necessary() -> None:
    assert TOGETHER.ends_refusal([A])
    assert TOGETHER.ends_refusal([B, OTHER])
    assert not TOGETHER.ends_refusal([OTHER])
    assert not TOGETHER.ends_refusal([])


def test_of_two_groups_either_is_enough() -> None:
    assert not BACKUP.ends_refusal([A])
    assert not BACKUP.ends_refusal([B, OTHER])
    assert BACKUP.ends_refusal([A, B])


def test_without_groups_nothing_ends_refusal() -> None:
    assert not NOWHERE.ends_refusal([])
    assert not NOWHERE.ends_refusal(EVERY_EXPERT)


def test_training_meets_every_expert_alone_and_both_sides_of_the_rule() -> None:
    rng = random.Random(0)
    for knockout in (TOGETHER, BACKUP, NOWHERE):
        draws = [sample_off(rng, knockout, EVEN) for _ in range(6000)]
        assert {draw[0] for draw in draws if len(draw) == 1} == set(EVERY_EXPERT)
        assert [] in draws
        assert max(map(len, draws)) == 8
        assert any(knockout.ends_refusal(draw) for draw in draws) is bool(knockout.groups)
        assert all(len(set(draw)) == len(draw) for draw in draws)
