"""The charts of the topics page: panels on one scale, topics in an order with a meaning, dots where they belong."""

import numpy as np

from app.figures import contrasts_by_layer, explained_scatter, topic_matrix
from app.figures.explained import ExplainedPoints
from app.figures.template import FLAGGED


def interval(estimate: float | None, half: float = 0.01) -> dict:
    low, high = (None, None) if estimate is None else (estimate - half, estimate + half)
    return {"estimate": estimate, "low": low, "high": high, "n": 6}


def layer(index: int, behaviour: float | None) -> dict:
    names = ("topic", "within_topic", "safety", "refusal_prefix")
    return {
        "layer": index,
        **{name: interval(0.1 * index) for name in names},
        "behaviour": interval(behaviour),
        "overlap": {name: interval(1.5) for name in (*names, "behaviour")},
    }


def test_each_contrast_has_a_panel_with_its_line_and_band() -> None:
    chart = contrasts_by_layer([layer(1, 0.5), layer(3, None)])
    lines = {trace.name: trace for trace in chart.data if trace.name}
    assert list(lines) == ["Topic", "Within topic", "Safety", "Refusal prefix", "Behaviour"]
    assert (list(lines["Topic"].x), list(lines["Topic"].y)) == ([1, 3], [0.1, 0.30000000000000004])
    assert list(lines["Behaviour"].x) == [1], "a layer without a value is left out"
    bands = [trace for trace in chart.data if trace.fill == "toself"]
    assert [round(y, 6) for y in bands[0].y] == [0.11, 0.31, 0.29, 0.09]
    axes = [trace.xaxis for trace in chart.data if trace.name]
    assert chart.layout.meta["layer_axes"] == axes, "a layer is marked in every panel"
    assert {axis.matches for axis in chart.select_yaxes() if axis.matches} == {"y"}, "one scale"


def test_shared_experts_are_drawn_from_nothing_to_k() -> None:
    chart = contrasts_by_layer([layer(1, 0.5)], overlap=True, top_k=2)
    assert {tuple(trace.y) for trace in chart.data if trace.name} == {(1.5,)}
    assert chart.layout.yaxis.range == (0, 2.1)
    assert chart.layout.yaxis.title.text == "shared of 2"


def test_rows_from_before_overlaps_were_kept_leave_the_panels_empty() -> None:
    rows = [{"layer": 0, "topic": interval(0.1), "safety": interval(0.1), "within_topic": interval(0.1)}]
    assert all(len(trace.x) == 0 for trace in contrasts_by_layer(rows, overlap=True, top_k=2).data)


def test_topics_stand_in_the_order_given() -> None:
    near, far = 0.01, 0.5
    values = [[0, far, near, far], [far, 0, far, near], [near, far, 0, far], [far, near, far, None]]
    picture = topic_matrix(["a", "b", "c", "d"], values, [[1] * 4] * 4, [3, 1, 0, 2]).data[0]
    names = list(picture.x)
    assert names == list(picture.y) == ["d", "b", "a", "c"]
    cells = np.array(picture.z)
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            expected = values["abcd".index(first)]["abcd".index(second)]
            np.testing.assert_equal(cells[i][j], np.nan if expected is None else expected)


def test_no_topics_are_an_empty_picture() -> None:
    assert len(topic_matrix([], [], [], []).data[0].x) == 0


def explained(*experts: tuple[int, int, float, float, bool]) -> dict:
    names = ("layer", "expert", "eta_topic", "eta_harm", "flagged")
    types = (np.int32, np.int32, np.float64, np.float64, np.bool_)
    return {
        n: np.array([one[i] for one in experts], dtype=t) for i, (n, t) in enumerate(zip(names, types, strict=True))
    }


def test_each_expert_is_a_dot_and_the_flagged_ones_are_named() -> None:
    columns = explained((1, 2, 0.5, 0.1, False), (2, 3, 0.2, 0.6, True), (2, 4, np.nan, np.nan, False))
    plain, flagged = explained_scatter(ExplainedPoints.of(columns), {"topic": 0.1, "harm": 0.02}).data
    assert (list(plain.x), list(plain.y)) == ([0.5], [0.1])
    assert (list(flagged.x), list(flagged.y), list(flagged.text)) == ([0.2], [0.6], ["L2·E3"])
    assert flagged.marker.color == FLAGGED


def test_chance_is_a_line_on_each_axis() -> None:
    shapes = explained_scatter(ExplainedPoints.of(explained()), {"topic": 0.1, "harm": 0.02}).layout.shapes
    assert [(shape.x0, shape.y0) for shape in shapes] == [(0.1, 0), (0, 0.02)]


def test_of_very_many_experts_most_are_shades_and_none_is_lost() -> None:
    rng = np.random.default_rng(0)
    columns = explained(*((0, i, *rng.random(2), i == 77) for i in range(500)))
    points = ExplainedPoints.of(columns, most=100, shown=40)
    assert points.density.sum() + len(points.topic) == 500
    assert points.rest == points.density.sum()
    assert columns["eta_topic"].argmax() in points.expert
    assert columns["eta_harm"].argmax() in points.expert
    assert 77 in points.expert, "a flagged expert always has its dot"
    shades, plain, flagged = explained_scatter(points, {"topic": 0.1, "harm": 0.02}).data
    assert (shades.type, shades.hoverinfo) == ("heatmap", "skip")
    assert len(plain.x) + len(flagged.x) == len(points.topic)
