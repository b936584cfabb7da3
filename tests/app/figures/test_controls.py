"""A chosen set among its controls, as pictures: every number is where its data say, and nothing is left out."""

from collections import Counter
from typing import Any

import plotly.graph_objects as go

from app.figures import band_strip, control_strips, drift_scatter, interval_dots
from tests.backend.tune_document import VALUES, make_tune_document

CONTROLS = make_tune_document()["controls"]


def marks(chart: go.Figure) -> list[Any]:
    return [trace for trace in chart.data if trace.mode == "markers"]


def test_every_tuned_set_is_a_mark_on_the_line_of_its_kind() -> None:
    chart = control_strips(CONTROLS["chosen"], CONTROLS["kinds"], title="refusal")
    *kinds, chosen = marks(chart)
    known = {kind: [value for value in values if value is not None] for kind, values in VALUES.items()}
    assert [list(trace.x) for trace in kinds] == [values for values in known.values() if values]
    assert (list(chosen.x), list(chosen.y)) == ([CONTROLS["chosen"]["value"]], [-1])
    for place, trace in enumerate(kinds):
        assert all(place - 0.4 < y <= place for y in trace.y)
    # A kind whose every set failed has no line, and no name that would stand beside nothing.
    assert len(chart.layout.yaxis.ticktext) == 1 + len(kinds) == len(chart.layout.yaxis.tickvals)


def test_marks_on_one_spot_can_be_counted() -> None:
    matched = marks(control_strips(CONTROLS["chosen"], CONTROLS["kinds"], title="refusal"))[0]
    places = Counter(zip(matched.x, matched.y, strict=True))
    assert max(places.values()) == 1
    assert len(places) == len(VALUES["matched"])


def test_drift_stands_across_and_effect_upwards() -> None:
    chart = drift_scatter(CONTROLS["chosen"], CONTROLS["kinds"], effect="refusal", yardstick=0.025)
    *kinds, chosen = marks(chart)
    assert (list(chosen.x), list(chosen.y)) == ([0.010], [0.97])
    first = CONTROLS["kinds"][0]["sets"]
    assert list(kinds[0].x) == [one["drift_jsd"] for one in first]
    assert list(kinds[0].y) == [one["value"] for one in first]
    assert [shape.x0 for shape in chart.layout.shapes] == [0.025]
    assert drift_scatter(CONTROLS["chosen"], [], effect="refusal").layout.shapes == ()


def test_the_band_holds_what_the_random_sets_hold() -> None:
    band = {"mean": 0.98, "low": 0.9, "high": 1.0, "n": 20}
    chart = band_strip(band, {"estimate": 0.1, "low": 0.0, "high": 0.3}, title="refusal", span=(0.0, 1.0))
    box, line = chart.layout.shapes
    assert (box.x0, box.x1, line.x0) == (0.9, 1.0, 0.98)
    (dot,) = marks(chart)
    assert list(dot.x) == [0.1]
    assert [round(end, 9) for end in (*dot.error_x.array, *dot.error_x.arrayminus)] == [0.2, 0.1]
    alone = band_strip({"mean": None, "low": None, "high": None, "n": 0}, {"estimate": 0.1}, title="refusal")
    assert alone.layout.shapes == ()


def test_rows_of_intervals_keep_their_order_from_the_top() -> None:
    rows = [
        ("first", {"estimate": 0.9, "low": 0.8, "high": 0.95}),
        ("none", {"estimate": None}),
        ("last", {"estimate": 1}),
    ]
    chart = interval_dots(rows, title="AUROC", marked=["first"], reference=0.5, span=(0.4, 1.0))
    assert list(chart.layout.yaxis.categoryarray) == ["first", "none", "last"]
    assert chart.layout.yaxis.range[0] > chart.layout.yaxis.range[1]
    assert [list(trace.x) for trace in chart.data] == [[0.9], [None], [1]]
    assert chart.data[0].marker.color != chart.data[2].marker.color
    assert chart.data[2].error_x.array is None


def test_each_random_set_is_a_dot_where_its_value_is_known() -> None:
    values = [0.9, 0.9, 0.95, 1.0]
    band = {"mean": 0.94, "low": 0.9, "high": 1.0, "n": 4, "values": values}
    *_, sets, dot = band_strip(band, {"estimate": 0.1}, title="refusal", span=(0.0, 1.0)).data
    assert list(sets.x) == values
    assert len({*zip(sets.x, sets.y, strict=True)}) == 4, "two on one spot can be told apart"
    assert list(dot.x) == [0.1]


def test_a_null_of_a_mean_and_a_deviation_reaches_over_two_of_them() -> None:
    box, line = band_strip({"mean": 1.0, "sd": 0.25, "n": 100}, {"estimate": 9.0}, title="nats").layout.shapes
    assert (box.x0, box.x1, line.x0) == (0.5, 1.5, 1.0)


def test_the_numbers_of_a_band_are_there_for_its_table() -> None:
    band = {"mean": 0.98, "low": 0.9, "high": 1.0, "n": 20}
    mean, dot = band_strip(band, {"estimate": 0.1}, title="refusal").data
    assert (mean.name, list(mean.x), mean.meta) == ("random sets, mean", [0.98], {"low": [0.9], "high": [1.0]})
    assert dot.name == "these experts"


def test_every_kind_is_named_for_the_table_of_its_chart() -> None:
    chart = control_strips(CONTROLS["chosen"], CONTROLS["kinds"], title="refusal")
    assert [trace.name for trace in chart.data][-1] == "The chosen experts"
    assert chart.data[0].name == CONTROLS["kinds"][0]["title"]
    assert chart.layout.meta["columns"] == {"series": "Tuned", "name": "Set", "y": None}
