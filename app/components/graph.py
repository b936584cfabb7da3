"""A Plotly figure on a page, with the download that every chart offers and a text for those who cannot see it."""

from typing import Any

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from app.components.aria import aria


def graph(figure: go.Figure, name: str, text: str, **graph_id: Any) -> Component:
    """An interactive chart; `name` names its download, `text` says what it shows."""
    config: Any = {
        "displaylogo": False,
        "responsive": True,
        "modeBarButtons": [["toImage"]],  # the default bar offers to share the chart with a server of Plotly's
        "toImageButtonOptions": {"format": "svg", "filename": name},
    }
    return html.Div(
        dcc.Graph(figure=figure, config=config, className="graph", **graph_id),
        role="figure",
        className="graph-box",
        **aria(label=text),
    )


def static_graph(figure: go.Figure, text: str) -> Component:
    """A small figure without hover or buttons; the sentence beside it says the same."""
    return html.Div(
        dcc.Graph(figure=figure, config={"staticPlot": True, "responsive": True}, className="graph"),
        role="img",
        className="graph-box",
        **aria(label=text),
    )
