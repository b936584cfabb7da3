"""Sorting and filtering by columns against the same done row by row, in plain Python."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import InputError
from backend.services.expert_table import ExpertTable
from backend.services.experts_page import Order, select_rows
from tests.backend.factories import make_result

ROWS = make_result().report["experts"]
for _i, _row in enumerate(ROWS):  # ties, and values that are missing
    _row["q_value"] = None if _i % 5 == 0 else round(_row["q_value"] * (_i % 4), 1)
    _row["stability"] = (_i % 3) / 2
TABLE = ExpertTable.of(ROWS)
FIELDS = ("q_value", "stability", "layer", "score_raset", "level")


def value(row: dict[str, Any], field: str) -> float | None:
    return row["scores"]["raset"] if field == "score_raset" else row[field]


def passes(row: dict[str, Any], field: str, kind: str, bound: float, upper: float) -> bool:
    found = value(row, field)
    if kind in ("blank", "notBlank"):
        return (found is None) == (kind == "blank")
    if found is None:
        return False
    return {
        "equals": found == bound,
        "notEqual": found != bound,
        "lessThan": found < bound,
        "greaterThanOrEqual": found >= bound,
        "inRange": bound <= found <= upper,
    }[kind]


def ordered(rows: list[dict[str, Any]], field: str, descending: bool) -> list[dict[str, Any]]:
    known = [row for row in rows if value(row, field) is not None]
    sign = -1 if descending else 1
    return sorted(known, key=lambda row: sign * value(row, field)) + [r for r in rows if value(r, field) is None]


orders = st.lists(st.builds(Order, st.sampled_from(FIELDS), st.booleans()), max_size=2, unique_by=lambda o: o.column)
kinds = st.sampled_from(["equals", "notEqual", "lessThan", "greaterThanOrEqual", "inRange", "blank", "notBlank"])
numbers = st.sampled_from([-0.5, 0.0, 0.5, 0.8, 1.0, 2.0])


@settings(max_examples=150, deadline=None)
@given(orders, st.sampled_from(FIELDS), kinds, numbers, numbers, st.integers(0, 30), st.integers(0, 30))
def test_rows_are_those_of_a_naive_sort_and_filter(
    order: list[Order], field: str, kind: str, bound: float, upper: float, start: int, length: int
) -> None:
    filters = {field: {"type": kind, "filter": bound, "filterTo": upper}}
    page = select_rows(TABLE, start, start + length, order, filters, {})
    expected = [row for row in ROWS if passes(row, field, kind, bound, upper)]
    for one in reversed(order):
        expected = ordered(expected, one.column, one.descending)
    assert page.count == len(expected)
    assert [ROWS[int(i)]["rank"] for i in page.rows] == [row["rank"] for row in expected[start : start + length]]


def names(filters: dict[str, Any], *order: Order, **extra: Any) -> list[str]:
    return [TABLE.names[int(i)] for i in select_rows(TABLE, 0, 99, order, filters, extra).rows]


@pytest.mark.parametrize(
    ("kind", "part", "found"),
    [
        ("equals", "l2.e5", ["L2·E5"]),
        ("startsWith", "L2", 8),
        ("endsWith", "e5", 3),
        ("contains", "3·E", 8),
        ("notContains", "L1", 16),
        ("notEqual", "L2·E5", 23),
        ("blank", "", 0),
    ],
)
def test_names_are_matched_in_either_case_and_with_a_plain_dot(kind: str, part: str, found: list[str] | int) -> None:
    shown = names({"name": {"type": kind, "filter": part}})
    assert shown == found if isinstance(found, list) else len(shown) == found


def test_names_are_ordered_as_the_model_is() -> None:
    assert names({}, Order("name"))[:9] == [*(f"L1·E{i}" for i in range(8)), "L2·E0"]


def test_conditions_are_joined_as_they_say() -> None:
    one, two = ({"type": "equals", "filter": layer} for layer in (1, 3))
    either = {"layer": {"operator": "OR", "conditions": [one, two]}}
    assert len(names(either)) == 16
    assert names({"layer": {"operator": "AND", "conditions": [one, two]}}) == []


def test_a_column_from_elsewhere_can_be_sorted_by() -> None:
    lift = np.arange(24.0)
    assert names({}, Order("lift_topic", True), lift_topic=lift)[0] == TABLE.names[23]


@pytest.mark.parametrize(
    ("order", "filters", "message"),
    [
        ([Order("colour")], {}, "experts have no column 'colour': expected one of benign"),
        ([], {"layer": {"type": "near", "filter": 1}}, "of type 'near': expected one of equals"),
        ([], {"layer": {"type": "equals", "filter": "1; drop"}}, "compares with '1; drop': expected a number"),
        ([], {"name": {"type": "like", "filter": "x"}}, "of type 'like'"),
        ([], {"layer": 7}, "expected an object"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(order: list[Order], filters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select_rows(TABLE, 0, 10, order, filters, {})
