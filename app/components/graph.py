"""A Plotly figure on a page, with what every chart offers: a text for those who cannot see it, the same numbers as a
table, and a file for a paper. Table and files are made in the browser (static/js/charts.js) from what is drawn."""

from typing import Any

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from app.components.aria import aria, dataset

_CONFIG: dict[str, Any] = {"displayModeBar": False, "responsive": True, "displaylogo": False}


def graph(figure: go.Figure, name: str, text: str, *, table: bool = True, **graph_id: Any) -> Component:
    """A chart. `name` is the file name of a download, `text` says what it shows.

    `table` is False where the page has a table of its own for so many numbers. The title of a download is the heading
    of the section that the chart stands in, its caption the dim paragraph right behind the chart.
    """
    return _box(figure, {**_CONFIG}, name, text, ["table", "svg", "png"] if table else ["svg", "png"], graph_id)


def static_graph(figure: go.Figure, text: str) -> Component:
    """A small figure without hover; the sentence beside it says the same."""
    return _box(figure, {"staticPlot": True, "responsive": True}, "", text, ["table"], {})


def _box(
    figure: go.Figure, config: Any, name: str, text: str, offers: list[str], graph_id: dict[str, Any]
) -> Component:
    return html.Div(
        [
            dcc.Graph(figure=figure, config=config, className="graph", **graph_id),
            html.Div(hidden=True, className="graph-table") if "table" in offers else None,
            html.Div([_offer(kind, text) for kind in offers], className="graph-tools"),
        ],
        role="figure",
        className="graph-box",
        **dataset(name=name),
        **aria(label=text),
    )


def _offer(kind: str, text: str) -> Component:
    if kind == "table":
        return html.Button("Table", type="button", className="tool", **dataset(chart=kind), **_pressed(text))
    label = aria(label=f"Save as {kind.upper()}: {text}")
    return html.Button(kind.upper(), type="button", className="tool", **dataset(chart=kind), **label)


def _pressed(text: str) -> dict[str, Any]:
    return aria(pressed="false", label=f"Table: {text}")
