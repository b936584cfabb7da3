"""Flagged sets, ranks and routing of two audits, against scipy and by hand."""

import copy
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from analysis.comparing import compare_audits, difference_cells
from analysis.errors import InputError, WithheldError
from tests.backend.factories import EXPERTS, LAYERS, make_result


def cells(report: dict[str, Any], quantity: str, group: str = "all") -> np.ndarray:
    found = np.zeros((len(LAYERS), EXPERTS))
    for row in report["experts"]:
        found[LAYERS.index(row["layer"]), row["expert"]] = row[quantity][group]
    return found


def test_the_flagged_sets_fall_into_three_parts() -> None:
    a, b = make_result(flagged=((2, 5), (1, 3))).report, make_result(flagged=((2, 5), (3, 0), (1, 1))).report
    found = compare_audits(a, b).flagged
    assert found is not None
    assert (found.only_a, found.both, found.only_b) == (((1, 3),), ((2, 5),), ((1, 1), (3, 0)))
    assert found.jaccard == 1 / 4
    effects = {(one.layer, one.expert): (one.where, one.effect_a, one.effect_b) for one in found.experts}
    where, in_a, in_b = effects[1, 3]
    assert (where, in_a and in_a.estimate, in_b and in_b.estimate) == ("a", 1.5, 0.0)


def test_two_audits_that_flag_nothing_have_no_overlap_to_speak_of() -> None:
    found = compare_audits(make_result(flagged=()).report, make_result(flagged=()).report)
    assert found.flagged is not None
    assert found.flagged.jaccard is None
    assert "Neither audit flags an expert." in found.changed


def test_rank_agreement_is_scipys() -> None:
    a, b = make_result(seed=0).report, make_result(seed=1, flagged=((3, 3),)).report
    found = compare_audits(a, b).ranks
    assert set(found) == {"rank", "raset", "raset_gradient", "gatebreaker", "ablation"}, "safex scored nothing"
    left, right = ({(row["layer"], row["expert"]): row for row in side["experts"]} for side in (a, b))
    for name in ("raset", "ablation"):
        pairs = [[side[place]["scores"][name] for place in left] for side in (left, right)]
        assert found[name].spearman == pytest.approx(stats.spearmanr(*pairs).statistic)
        assert found[name].kendall == pytest.approx(stats.kendalltau(*pairs).statistic)
    ranks = [[side[place]["rank"] for place in left] for side in (left, right)]
    assert found["rank"].spearman == pytest.approx(stats.spearmanr(*ranks).statistic)
    best = [{place for place, row in side.items() if row["rank"] <= 12} for side in (left, right)]
    assert (found["rank"].top, found["rank"].shared, found["rank"].n) == (12, len(best[0] & best[1]), 24)


def test_a_ranking_without_an_order_has_no_correlation() -> None:
    a = copy.deepcopy(make_result().report)
    for row in a["experts"]:
        row["scores"]["raset"] = 0.0
    found = compare_audits(a, make_result(seed=1).report).ranks["raset"]
    assert (found.spearman, found.kendall, found.n) == (None, None, 24)


def test_routing_moves_by_the_mean_of_the_cells_and_scipys_divergence() -> None:
    a, b = make_result(seed=0).report, make_result(seed=1).report
    routing = compare_audits(a, b).routing
    moved = np.abs(cells(b, "frequency") - cells(a, "frequency"))
    divergence = jensenshannon(cells(a, "probability"), cells(b, "probability"), base=2, axis=1) ** 2
    assert [row.layer for row in routing.per_layer] == list(LAYERS)
    assert [row.mean_abs_frequency for row in routing.per_layer] == pytest.approx(moved.mean(1))
    assert [row.jsd for row in routing.per_layer] == pytest.approx(divergence, rel=1e-4)
    assert routing.groups["all"].mean_abs_frequency == pytest.approx(moved.mean())
    assert routing.groups["all"].jsd == pytest.approx(divergence.mean(), rel=1e-4)
    harmful = np.abs(cells(b, "frequency", "harmful") - cells(a, "frequency", "harmful"))
    assert routing.groups["harmful"].mean_abs_frequency == pytest.approx(harmful.mean())
    first = routing.largest[0]
    assert abs(first.difference) == pytest.approx(moved.max())
    assert first.b - first.a == pytest.approx(first.difference)


def test_a_run_and_its_twin_route_alike() -> None:
    routing = compare_audits(make_result().report, make_result().report).routing
    assert routing.groups["all"].mean_abs_frequency == 0
    assert routing.groups["all"].jsd == pytest.approx(0, abs=1e-12)
    assert routing.largest == ()


def test_the_topic_ratio_is_held_against_the_other_as_an_independent_one() -> None:
    a, b = copy.deepcopy(make_result().report), make_result().report
    a["routing"]["topic_ratio"] = {"estimate": 0.5, "low": 0.38, "high": 0.62, "n": 12}
    found = compare_audits(a, b)
    ratio = found.routing.topic_ratio
    assert ratio is not None
    assert ratio.difference.estimate == pytest.approx(0.24 - 0.5)
    assert ratio.difference.high == pytest.approx(-0.26 + np.hypot(0.05, 0.12))
    assert "The topic ratio ρ is lower in B: 0.24 against 0.5." in found.changed


@pytest.mark.parametrize(
    ("change", "named"),
    [({"family": "mixtral"}, "family"), ({"top_k": 1}, "experts per token"), ({"moe_layers": [1, 2]}, "MoE layers")],
)
def test_models_of_other_shapes_are_compared_by_outcomes_alone(change: dict[str, Any], named: str) -> None:
    other = copy.deepcopy(make_result().report)
    other["model"] |= change
    found = compare_audits(make_result().report, other)
    assert (found.flagged, found.ranks, found.routing.per_layer, found.routing.largest) == (None, {}, (), ())
    assert "refusal_harmful" in found.outcomes
    for what in ("flagged", "ranks", "routing.per_layer", "routing.groups"):
        assert named in str(found.why(what))


def test_cells_are_b_minus_a() -> None:
    a, b = make_result(seed=0).routing, make_result(seed=1).routing
    for quantity, factor in (("frequency", 1), ("lift", EXPERTS / 2)):
        expected = (b.frequency[0, 1] - a.frequency[0, 1]) * factor
        np.testing.assert_allclose(difference_cells(a, b, quantity, "harmful"), expected, rtol=1e-4, atol=1e-6)
    assert np.isnan(difference_cells(a, b, "frequency", "benign", "response")).all(), "nothing was observed there"


def test_cells_that_cannot_be_subtracted_are_refused() -> None:
    a = make_result().routing
    with pytest.raises(InputError, match="unknown quantity 'difference': expected one of frequency, probability, lift"):
        difference_cells(a, a, "difference")
    other = copy.copy(a)
    object.__setattr__(other, "top_k", 1)
    with pytest.raises(WithheldError, match="experts per token"):
        difference_cells(a, other)
