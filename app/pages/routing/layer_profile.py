"""The routing page's two charts by layer: what the shown cells come to, and how far topics and harm are apart."""

from dash import html
from dash.development.base_component import Component
from plotly.graph_objects import Figure

from app.components import graph
from app.figures import divergence_by_layer, layer_bars
from app.pages.run.frame import Finished
from backend.services import Heatmap, Services

_EFFECTIVE = (
    "Effective experts",
    "How many experts would do the shown work if each did as much: 2 to the entropy of the layer's shares in bits.",
)
_MOVED = (
    "Share that moves",
    "Half the sum of absolute differences, as a share of all selections or probability: 0 is alike, 1 is disjoint.",
)


def layer_profile(services: Services, finished: Finished, cells: Heatmap) -> Component:
    """Side by side; the left one follows the rail."""
    figure, name, caption = spread(services, finished.run.id, cells)
    text = "Divergence of topics and of harm by layer; the table of layers below has the same numbers"
    return html.Div(
        [
            html.Section(
                [
                    html.H2(name, id="routing-spread-title"),
                    graph(figure, "layers", "The shown cells' summary for each layer", id="routing-spread"),
                    html.P(caption, id="routing-spread-caption", className="dim small"),
                ],
                className="stack",
            ),
            html.Section(
                [
                    html.H2("Topic and safety divergence"),
                    graph(divergence_by_layer(finished.report["routing"]["per_layer"]), "divergence", text),
                    html.P("All prompts. Bands are 95 % intervals.", className="dim small"),
                ],
                className="stack",
            ),
        ],
        className="halves",
    )


def spread(services: Services, run_id: str, cells: Heatmap) -> tuple[Figure, str, str]:
    """Bars of each layer's summary, their heading and their caption: of amounts the effective experts, of a difference
    the share that moves."""
    name, caption = _MOVED if cells.minus is not None or cells.quantity == "difference" else _EFFECTIVE
    values = services.results.margins(run_id, cells).spread
    return layer_bars(cells.layers, values, name.lower()), f"{name} by layer", caption
