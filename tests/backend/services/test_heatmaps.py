"""What services say around a heatmap: differences, margins, orders, topic by topic, and its cells as rows."""

import csv
import io
from typing import Any

import numpy as np
import pytest

from analysis.errors import InputError
from backend.services import ExpertScopeError, Order, RunInfo, Services
from tests.backend.factories import EXPERTS, FLAGGED, LAYERS, TOP_K


def test_a_difference_is_what_it_says(services: Services, done: RunInfo) -> None:
    a, b = (services.results.heatmap(done.id, "frequency", f"topic:{name}") for name in ("banking", "travel"))
    found = services.results.heatmap(done.id, "frequency", "topic:banking", minus="topic:travel")
    np.testing.assert_array_equal(found.values, a.values - b.values)
    assert (found.minus, found.favours) == ("topic:travel", None)
    assert found.unit.endswith(", topic:banking less topic:travel")


def test_harmful_less_benign_is_the_difference(services: Services, done: RunInfo) -> None:
    old = services.results.heatmap(done.id, "difference", "topic:banking")
    new = services.results.heatmap(done.id, "frequency", "topic:banking/harmful", minus="topic:banking/benign")
    np.testing.assert_array_equal(new.values, old.values)
    assert old.favours == new.favours == "harmful"


def test_the_file_has_the_difference_too(services: Services, done: RunInfo) -> None:
    text = services.results.heatmap_csv(done.id, "lift", "harmful", "prompt", "benign")
    values = [float(row["lift"]) for row in csv.DictReader(io.StringIO(text))]
    found = services.results.heatmap(done.id, "lift", "harmful", "prompt", "benign").values
    assert values == found.ravel().tolist()


def test_the_load_is_the_mean_over_layers_in_the_order_shown(services: Services, done: RunInfo) -> None:
    cells = services.results.heatmap(done.id)
    order = services.results.expert_order(done.id, "topic")
    assert order is not None
    by_hand = [np.mean([cells.values[row, order[row, at]] for row in range(len(LAYERS))]) for at in range(EXPERTS)]
    np.testing.assert_allclose(services.results.margins(done.id, cells, order).load, by_hand, rtol=1e-6)


def test_every_selection_moves_somewhere_else_or_stays(services: Services, done: RunInfo) -> None:
    cells = services.results.heatmap(done.id, "frequency", "harmful", minus="benign")
    by_hand = np.abs(cells.values).sum(1) / (2 * TOP_K)
    np.testing.assert_allclose(np.array(services.results.margins(done.id, cells).spread), by_hand, rtol=1e-5)


def test_the_entropy_beside_the_cells_is_the_reports(services: Services, done: RunInfo) -> None:
    found = services.results.margins(done.id, services.results.heatmap(done.id))
    assert found.entropy == [row["entropy"] for row in services.results.report(done.id)["routing"]["per_layer"]]


def test_the_largest_effect_stands_first(services: Services, done: RunInfo) -> None:
    order = services.results.expert_order(done.id, "effect")
    assert order is not None
    assert {(LAYERS[row], int(order[row, 0])) for row in range(2)} == set(FLAGGED)
    assert all(sorted(row) == list(range(EXPERTS)) for row in order.tolist())


def test_an_order_that_does_not_exist_is_named(services: Services, done: RunInfo) -> None:
    assert services.results.expert_order(done.id, "index") is None
    assert services.results.orders(done.id) == ["index", "topic", "effect"]
    with pytest.raises(InputError, match="unknown order 'colour'"):
        services.results.expert_order(done.id, "colour")


def test_topics_side_by_side_are_the_heatmaps_of_their_groups(services: Services, done: RunInfo) -> None:
    found = services.results.topic_pictures(done.id, "lift", label="harmful")
    assert (found.topics, found.block, found.experts) == (["banking", "travel"], 1, EXPERTS)
    expected = services.results.heatmap(done.id, "lift", "topic:travel/harmful").values
    np.testing.assert_array_equal(found.values[1], expected)


def page(services: Services, run: RunInfo, *sort: Order, **filters: dict[str, Any]) -> list[tuple[int, int]]:
    cells = services.results.heatmap(run.id)
    found = services.results.cells_page(run.id, cells, 0, 999, sort, filters)
    assert len(found.items) == found.count
    return [(row.layer, row.expert) for row in found.items]


def test_cells_come_layer_by_layer(services: Services, done: RunInfo) -> None:
    assert page(services, done) == [(layer, expert) for layer in LAYERS for expert in range(EXPERTS)]


def test_cells_are_sorted_by_value(services: Services, done: RunInfo) -> None:
    values = services.results.heatmap(done.id).values
    best = np.unravel_index(values.argmax(), values.shape)
    assert page(services, done, Order("value", True))[0] == (LAYERS[best[0]], best[1])


def test_flagged_cells_come_first_when_asked_for(services: Services, done: RunInfo) -> None:
    assert page(services, done, Order("flagged", True))[:2] == sorted(FLAGGED)


def test_cells_are_found_by_name(services: Services, done: RunInfo) -> None:
    assert page(services, done, name={"type": "contains", "filter": "l2.e5"}) == [(2, 5)]


def test_a_cell_without_an_observation_has_no_value(services: Services, done: RunInfo) -> None:
    cells = services.results.heatmap(done.id, "frequency", "benign", "response")
    assert services.results.cells_page(done.id, cells, 0, 1).items[0].value is None


def test_an_unknown_column_is_refused(services: Services, done: RunInfo) -> None:
    with pytest.raises(ExpertScopeError, match="no column 'colour'"):
        page(services, done, Order("colour"))
