"""The picture with its margins, the small multiples, and the colours that mean what the page says."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from app.figures import Colours, layer_bars, routing_picture, topic_panels
from app.figures.template import BENIGN, CHANGES, FLAGGED, HARMFUL

VALUES = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], dtype=np.float32)
ORDER = np.array([[2, 0, 1], [1, 2, 0]], dtype=np.uint16)


def draw(colours: Colours = Colours("frequency"), order: np.ndarray | None = None, flagged: tuple = ()) -> go.Figure:  # noqa: B008
    return routing_picture(
        VALUES, [1, 5], load=VALUES.mean(0).astype(float), entropy=[2.5, None], colours=colours, label="f",
        flagged=flagged, order=order,
    )  # fmt: skip


def test_margins_stand_on_the_axes_of_the_cells() -> None:
    cells, below, beside = draw().data
    assert (below.xaxis, beside.yaxis) == ("x", "y")
    np.testing.assert_allclose(below.y, [0.25, 0.35, 0.45])
    assert (list(beside.x), list(beside.y)) == ([2.5, None], ["1", "5"])
    assert list(cells.y) == ["1", "5"]


def test_the_numbers_stay_float32() -> None:
    z = json.loads(draw().to_json())["data"][0]["z"]
    assert (z["dtype"], z["shape"]) == ("f4", "2, 3")


def test_a_large_picture_stays_below_its_budget() -> None:
    values = np.random.default_rng(0).random((94, 512)).astype(np.float32)
    picture = routing_picture(
        values,
        range(94),
        load=values.mean(0).astype(float),
        entropy=[1.0] * 94,
        colours=Colours("frequency"),
        label="f",
    )
    assert len(picture.to_json()) < 335_000


def test_ordered_cells_keep_their_value_and_their_expert() -> None:
    cells = draw(order=ORDER).data[0]
    np.testing.assert_allclose(cells.z, [[0.3, 0.1, 0.2], [0.5, 0.6, 0.4]], atol=1e-6)
    assert cells.customdata.tolist() == ORDER.tolist()
    assert "expert %{customdata}" in cells.hovertemplate


def test_a_flagged_expert_is_ringed_where_it_stands() -> None:
    *_, shape = draw(order=ORDER, flagged=((5, 0),)).layout.shapes
    assert ((shape.x0 + shape.x1) / 2, (shape.y0 + shape.y1) / 2) == (2, 1)
    assert shape.line.color == FLAGGED


def test_vermillion_means_harmful_whichever_group_comes_first() -> None:
    ends = ("benign", "harmful")
    forward = dict(Colours("difference", ends).scale(VALUES).colours)
    backward = dict(Colours("inverse", ends[::-1]).scale(VALUES).colours)
    assert (forward[0.0], forward[1.0]) == (BENIGN, HARMFUL)
    assert (backward[0.0], backward[1.0]) == (HARMFUL, BENIGN)


def test_other_pairs_have_colours_without_such_a_meaning_and_named_ends() -> None:
    chart = draw(Colours("change", ("travel", "a <b> topic")))
    colours = [colour for _, colour in chart.data[0].colorscale]
    assert colours == [colour for _, colour in CHANGES]
    assert not {HARMFUL, BENIGN} & set(colours)
    assert [note.text for note in chart.layout.annotations] == ["← more in travel", "more in a &lt;b&gt; topic →"]


def panels(topics: int = 3, block: int = 1) -> go.Figure:
    values = np.arange(topics * 6, dtype=np.float32).reshape(topics, 2, 3)
    names = [f"t{at}" for at in range(topics)]
    return topic_panels(values, names, [1, 5], 3 * block, block=block, colours=Colours("frequency"), label="f")


def test_every_topic_is_a_panel_on_one_colour_scale() -> None:
    chart = panels()
    assert {trace.coloraxis for trace in chart.data} == {"coloraxis"}
    assert (chart.layout.coloraxis.cmin, chart.layout.coloraxis.cmax) == (0, 17)
    assert [note.text for note in chart.layout.annotations] == ["<b>t0</b>", "<b>t1</b>", "<b>t2</b>"]


def test_a_panel_knows_its_topic_and_its_axes() -> None:
    chart = panels()
    assert [panel["topic"] for panel in chart.layout.meta["panels"]] == ["t0", "t1", "t2"]
    for trace, panel in zip(chart.data, chart.layout.meta["panels"], strict=True):
        assert [trace.xaxis or "x", trace.yaxis or "y"] == panel["axes"]


def test_panels_stand_in_rows_that_do_not_overlap() -> None:
    chart = panels(topics=6)
    first, below = chart.layout.yaxis.domain, chart.layout.yaxis5.domain
    assert below[1] < first[0]
    assert chart.layout.xaxis.domain[1] < chart.layout.xaxis2.domain[0]


def test_a_column_of_several_experts_stands_in_their_middle_and_says_so() -> None:
    trace = panels(block=4).data[0]
    assert list(trace.x) == [1.5, 5.5, 9.5]
    assert "strongest of 4 experts" in trace.hovertemplate


@pytest.mark.parametrize("layers", [2, 30])
def test_layers_without_a_number_have_no_bar(layers: int) -> None:
    bars = layer_bars(range(layers), [None, *[1.0] * (layers - 1)], "spread").data[0]
    assert (len(bars.x), bars.y[0]) == (layers, None)
