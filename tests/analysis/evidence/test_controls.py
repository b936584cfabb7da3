"""The dose curve and the committee, on numbers worked by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from analysis.evidence.bench import Losses
from analysis.evidence.controls import NullBand, busiest, dose, dose_sets, random_sets
from analysis.models import ExpertId


def layers(*indices: int, experts: int = 6, top_k: int = 2) -> list:
    return [
        SimpleNamespace(layer=index, position=place, experts=experts, top_k=top_k)
        for place, index in enumerate(indices)
    ]


def ids(*pairs: tuple[int, int]) -> tuple[ExpertId, ...]:
    return tuple(ExpertId(*pair) for pair in pairs)


def test_doses_double_and_follow_the_order() -> None:
    ordered = [ExpertId(layer, e) for e in range(6) for layer in (1, 3)]
    sets = dose_sets(ordered, layers(1, 3), largest=8)
    assert [len(one) for one in sets] == [1, 2, 4]  # half of twelve experts at most
    assert sets[2] == ids((1, 0), (1, 1), (3, 0), (3, 1))
    assert [len(one) for one in dose_sets(ordered, layers(1, 3), largest=3)] == [1, 2]
    assert dose_sets([], layers(1), largest=8) == []


def test_a_dose_passes_over_an_expert_that_its_layer_cannot_spare() -> None:
    ordered = [ExpertId(1, e) for e in range(6)] + [ExpertId(3, e) for e in range(6)]
    largest = dose_sets(ordered, layers(1, 3, top_k=4), largest=4)[-1]
    assert largest == ids((1, 0), (1, 1), (3, 0), (3, 1))


def test_a_point_of_the_curve() -> None:
    margins, refusals = [1.0, 3.0, 5.0, 7.0, 2.0, 6.0], [0.5, 0.5, 1.0, 1.0, 0.5, 1.0]
    own = Losses(np.array([margins], np.float32), np.array([refusals], np.float32))
    means = np.arange(20.0)  # 0 … 19: sixteen of them reach 4
    null = Losses(np.repeat(means[:, None], 6, 1).astype(np.float32), np.zeros((20, 6), np.float32))
    point = dose(ids((0, 1)), own, null, ["a", "a", "b", "b", "b", "b"], seed=0)
    assert point.margin.estimate == 4
    assert point.refusal.estimate == 0.75
    assert point.p_value == pytest.approx((1 + 16) / (1 + 20))
    assert (point.null.mean, point.null.n) == (9.5, 20)
    assert point.null.low == pytest.approx(0.475)  # 2.5 % of the way from 0 to 19
    assert point.null.high == pytest.approx(18.525)
    assert point.margin.low < 4 < point.margin.high
    assert point.refusal.high <= 1


def test_without_random_sets_there_is_no_band() -> None:
    assert NullBand.of(np.empty(0)) == NullBand(None, None, None, 0)


def test_the_committee_is_the_busiest_that_can_be_spared() -> None:
    load = np.array([[0.9, 0.8, 0.7, 0.1, 0.1, 0.1], [0.6, 0.5, 0.2, 0.2, 0.2, 0.2]], np.float32)
    assert busiest(layers(1, 3), load, size=3) == ids((1, 0), (1, 1), (1, 2))
    assert busiest(layers(1, 3), load, size=3, leaving_out=ids((1, 1))) == ids((1, 0), (1, 2), (3, 0))
    assert busiest(layers(1, 3, top_k=4), load, size=3) == ids((1, 0), (1, 1), (3, 0))
    assert busiest(layers(1, 3, top_k=5), load, size=3) == ()


def test_random_sets_leave_out_target_suspects_and_who_is_not_in_the_pool() -> None:
    load, target = np.full((2, 6), 1 / 3, np.float32), ids((1, 0), (3, 0))
    pool = ids(*((layer, e) for layer in (1, 3) for e in range(4)))
    sets = random_sets(layers(1, 3), target, ids((1, 1)), load, count=50, seed=0, pool=pool)
    assert len(set(sets)) == len(sets) > 5
    drawn = {expert for one in sets for expert in one}
    assert drawn <= set(pool) - set(target) - set(ids((1, 1)))
