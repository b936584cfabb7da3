"""The routing page: what the address and the selection make of it, and what its callbacks answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.pages.routing.cells import Choice, colours, group_options
from app.pages.routing.layer_table import layer_finding
from backend.services import RunInfo, Services
from tests.backend.factories import EXPERTS, FLAGGED, LAYERS

Show = Callable[..., str]
Call = Callable[..., dict[str, Any]]
TOPICS = ["banking", "travel"]


def chosen(run: RunInfo, **values: Any) -> dict[str, Any]:
    """The rail's state, for a callback."""
    rail = {"quantity": "frequency", "group": "all", "minus": "none", "window": "prompt", "order": "index"}
    filled = {f"routing-{name}.value": value for name, value in {**rail, "view": "picture", **values}.items()}
    return {**filled, "routing-run.data": {"run": run.id, "flagged": [list(place) for place in FLAGGED]}}


@pytest.mark.parametrize(
    ("query", "group"),
    [
        ({}, "all"),
        ({"topic": "banking"}, "topic:banking"),
        ({"topic": "banking", "label": "harmful"}, "topic:banking/harmful"),
        ({"label": "benign"}, "benign"),
        ({"topic": "banking", "group": "all"}, "all"),
        ({"topic": "not in this run"}, "all"),
        ({"topic": "banking", "label": "harmful", "quantity": "difference"}, "topic:banking"),
    ],
)
def test_the_page_begins_with_what_is_selected(query: dict[str, str], group: str) -> None:
    assert Choice.of(query, TOPICS).group == group


def test_a_difference_of_labels_has_no_second_group() -> None:
    assert Choice.of({"quantity": "difference", "minus": "benign"}).minus is None
    assert Choice.of({"quantity": "lift", "minus": "benign"}).minus == "benign"


@pytest.mark.parametrize(
    ("group", "minus", "kind", "ends"),
    [
        ("topic:banking", "topic:travel", "change", ("travel", "banking")),
        ("harmful", "benign", "difference", ("benign", "harmful")),
        ("benign", "harmful", "inverse", ("harmful", "benign")),
        ("harmful", "all", "change", ("all", "harmful")),
    ],
)
def test_colours_mean_labels_only_between_labels(
    services: Services, done: RunInfo, group: str, minus: str, kind: str, ends: tuple[str, str]
) -> None:
    found = colours(services.results.heatmap(done.id, "frequency", group, "prompt", minus))
    assert (found.kind, found.ends) == (kind, ends)


def test_the_difference_of_two_topics_is_the_services(call: Call, services: Services, done: RunInfo) -> None:
    values = chosen(done, group="topic:banking", minus="topic:travel", quantity="probability")
    drawn = call("routing-heatmap.figure", values, "routing-minus.value")
    assert drawn["routing-title"]["children"] == "Router probability, topic banking − topic travel"
    assert "minus=topic%3Atravel" in drawn["routing-csv"]["href"]
    assert "Above 0: more in banking; below: more in travel." in drawn["routing-caption"]["children"]


def test_a_picture_that_is_there_is_not_sent_again(call: Call, done: RunInfo) -> None:
    first = call("routing-heatmap.figure", chosen(done), "routing-quantity.value")
    again = {**chosen(done), "routing-drawn.data": first["routing-drawn"]["data"]}
    assert "routing-heatmap" not in call("routing-heatmap.figure", again, "routing-view.value")
    moved = {**again, "routing-order.value": "effect"}
    assert "routing-heatmap" in call("routing-heatmap.figure", moved, "routing-order.value")


def test_an_order_keeps_every_experts_value(call: Call, services: Services, done: RunInfo) -> None:
    drawn = call("routing-heatmap.figure", chosen(done, order="effect"), "routing-order.value")
    trace = drawn["routing-heatmap"]["figure"]["data"][0]
    order = services.results.expert_order(done.id, "effect")
    assert trace["customdata"]["shape"] == f"{len(LAYERS)}, {EXPERTS}"
    assert order is not None
    assert [int(order[LAYERS.index(layer)][0]) for layer, _ in FLAGGED] == [expert for _, expert in FLAGGED]


def test_the_topics_view_has_a_panel_for_each_topic(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/routing", "?view=topics&label=harmful")
    assert '"topic-panels"' in page
    assert "2 topics, 3 MoE layers × 8 experts, one colour scale" in page
    assert "Only harmful prompts." in page


def test_a_selected_label_narrows_the_panels(call: Call, done: RunInfo) -> None:
    values = {**chosen(done, view="topics"), "selection.data": {"label": "benign"}}
    drawn = call("routing-maps.figure", values, "selection.data")
    assert "Only benign prompts." in drawn["routing-maps-caption"]["children"]
    values["routing-maps-drawn.data"] = drawn["routing-maps-drawn"]["data"]
    assert "routing-maps" not in call("routing-maps.figure", values, "selection.data")


def rows(call: Call, run: RunInfo, request: dict[str, Any], **values: Any) -> dict[str, Any]:
    asked = {**chosen(run, **values), "routing-table.getRowsRequest": request}
    return call("routing-table.getRowsResponse", asked, "routing-table.getRowsRequest")


def test_the_table_sends_the_rows_that_are_asked_for(call: Call, services: Services, done: RunInfo) -> None:
    found = rows(call, done, {"startRow": 8, "endRow": 10, "sortModel": [], "filterModel": {}}, quantity="lift")
    answer = found["routing-table"]["getRowsResponse"]
    cells = services.results.heatmap(done.id, "lift").values
    assert answer["rowCount"] == cells.size
    assert [row["name"] for row in answer["rowData"]] == ["L2·E0", "L2·E1"]
    assert [np.float32(row["value"]) for row in answer["rowData"]] == list(cells[1, :2])


def test_the_table_is_sorted_and_filtered_where_the_cells_are(call: Call, services: Services, done: RunInfo) -> None:
    request = {
        "startRow": 0, "endRow": 100, "sortModel": [{"colId": "value", "sort": "desc"}],
        "filterModel": {"layer": {"filterType": "number", "type": "equals", "filter": 3}},
    }  # fmt: skip
    found = rows(call, done, request)
    values = [row["value"] for row in found["routing-table"]["getRowsResponse"]["rowData"]]
    assert values == sorted(services.results.heatmap(done.id).values[2].tolist(), reverse=True)
    assert found["routing-count"]["children"] == "8 of 24 cells"


def test_a_column_that_does_not_exist_is_named(call: Call, done: RunInfo) -> None:
    request = {"startRow": 0, "endRow": 9, "sortModel": [{"colId": "colour", "sort": "asc"}], "filterModel": {}}
    assert "no column 'colour'" in rows(call, done, request)["notice"]["children"]


def test_the_halves_of_a_topic_can_be_chosen_but_not_subtracted_twice() -> None:
    groups = ["all", "harmful", "benign", "topic:banking", "topic:banking/harmful"]
    names = [[item["value"] for item in part["items"]] for part in group_options(groups, "frequency")]
    assert names == [["all", "harmful", "benign"], ["topic:banking"], ["topic:banking/harmful"]]


def layer(at: int, topic: float, within: float, half: float = 0.001) -> dict[str, Any]:
    return {
        "layer": at,
        "topic": {"estimate": topic, "low": topic - half, "high": topic + half, "n": 9},
        "within_topic": {"estimate": within, "low": within, "high": within, "n": 9},
    }


def test_the_layer_that_separates_topics_most_is_named() -> None:
    found = layer_finding([layer(0, 0.02, 0.01), layer(3, 0.05, 0.01)])
    assert found.sentence == "Layer 3 separates topics most: JSD 0.0500 [0.0490, 0.0510], within a topic 0.01"
    assert found.doubt == ""


def test_the_noise_within_a_topic_counts_against_a_layer() -> None:
    found = layer_finding([layer(0, 0.06, 0.058), layer(3, 0.05, 0.01)])
    assert found.sentence.startswith("Layer 3 separates topics most")


def test_a_layer_that_may_be_ahead_is_named_as_a_doubt() -> None:
    found = layer_finding([layer(0, 0.0495, 0.01), layer(2, 0.02, 0.01), layer(3, 0.05, 0.01)])
    assert found.doubt == "Not surely: layer 0 may do so as much."


def test_no_layer_is_named_where_all_are_noise() -> None:
    assert layer_finding([layer(0, 0.02, 0.02)]).sentence == "No layer surely separates topics"
    assert layer_finding([{"layer": 0, "topic": {"estimate": None}}]).sentence == "Routing"


def test_beside_topics_less_a_group_that_group_is_shown_as_it_is() -> None:
    """Less itself it would be zero everywhere."""
    assert Choice(view="topics", minus="all").cells == ("frequency", "all", "prompt", None)
    assert Choice(view="topics", group="harmful", minus="all").cells == ("frequency", "harmful", "prompt", "all")
    assert Choice(view="picture", minus="all").cells == ("frequency", "all", "prompt", "all")
