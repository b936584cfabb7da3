"""The published schema of report.json: what it takes, and what it does not."""

import copy
from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator

from analysis.errors import InputError
from backend.reports import report_schema, validate_report
from tests.backend.factories import make_result


def test_the_schema_is_itself_valid() -> None:
    Draft202012Validator.check_schema(report_schema())


@pytest.mark.parametrize("flagged", [(), ((2, 5),), ((2, 5), (1, 3))])
def test_reports_with_and_without_flagged_experts_pass(flagged: tuple) -> None:
    validate_report(make_result(flagged=flagged).report)


def test_further_fields_are_welcome() -> None:
    report = make_result().report
    report["later"] = {"anything": 1}
    report["experts"][0]["details"] = {"raset.q": 0.1}
    validate_report(report)


def test_withheld_numbers_may_be_null() -> None:
    report = make_result().report
    report["outcomes"] |= {"margin_harmful": None, "margin_benign": None, "masked": None}
    report["flagged"] |= {"effect": None, "null": None, "p_value": None, "selectivity": None}
    report["experts"][0] |= {"effect": None, "null": None, "p_value": None, "q_value": None, "stability": None}
    report["routing"]["topic_ratio"] = {"estimate": None, "low": None, "high": None, "n": 0}
    validate_report(report)


Damage = Callable[[dict], object]
DAMAGES: list[tuple[str, Damage]] = [
    ("$.schema", lambda r: r.update(schema="expertscope.report/2")),
    ("$", lambda r: r.pop("certificate")),
    ("$.model.top_k", lambda r: r["model"].update(top_k=0)),
    ("$.prompts.sha256", lambda r: r["prompts"].update(sha256="abc")),
    ("$.outcomes.refusal_harmful", lambda r: r["outcomes"].update(refusal_harmful=0.5)),
    ("$.experts[0].level", lambda r: r["experts"][0].update(level=7)),
    ("$.experts[0].evidence.causal", lambda r: r["experts"][0]["evidence"].update(causal="yes")),
    ("$.experts[1].rank", lambda r: r["experts"][1].update(rank=0)),
    ("$.experts[2].scores.raset", lambda r: r["experts"][2]["scores"].update(raset="high")),
    ("$.flagged.experts[0]", lambda r: r["flagged"].update(experts=[[1, 2, 3]])),
    ("$.timings.total", lambda r: r["timings"].update(total="long")),
    ("$.created", lambda r: r.update(created="yesterday")),
]


@pytest.mark.parametrize(("place", "damage"), DAMAGES, ids=[place for place, _ in DAMAGES])
def test_damage_is_found_and_placed(place: str, damage: Damage) -> None:
    report = copy.deepcopy(make_result().report)
    damage(report)
    with pytest.raises(InputError) as caught:
        validate_report(report)
    assert place in [fault.column for fault in caught.value.faults]


@pytest.mark.parametrize("other", [None, [], "report", 3])
def test_what_is_no_report_at_all_is_refused(other: object) -> None:
    with pytest.raises(InputError, match=r"expertscope\.report/1"):
        validate_report(other)
