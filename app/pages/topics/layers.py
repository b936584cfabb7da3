"""Layer by layer: what drives each of them, topic or safety, as pictures, as words and as numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from app import wording
from app.components import Column, aria, dataset, graph, info, interval, plain_table
from app.figures import divergence_by_layer, ratio_by_layer
from app.pages.run.frame import Finished
from app.pages.topics.contrasts import CONTRASTS
from backend import formats
from backend.services import follows

PerLayer = Sequence[Mapping[str, Any]]


def section(finished: Finished, per_layer: PerLayer) -> list[Component]:
    run = finished.run.id
    beside = html.Div([_drives(finished, per_layer), _ratio(run, per_layer)], className="stack-3")
    return [
        html.H2(wording.layers_finding(finished.report)),
        html.P(
            "A layer is driven by topic where the interval of its topic ratio lies below 1, by safety where it lies "
            "above. A click on a layer marks it everywhere.",
            className="dim",
        ),
        html.Div([_divergence(run, per_layer), beside], className="two-thirds"),
    ]


def _divergence(run: str, per_layer: PerLayer) -> Component:
    return html.Section(
        [
            html.H3(["Divergence by layer ", info("jsd")]),
            graph(
                divergence_by_layer(per_layer), f"{run}-topics", "Topic, safety and within-topic divergence by layer"
            ),
            html.P("Bands are 95 % intervals from resampling topics.", className="dim small"),
        ],
        className="stack",
    )


def _ratio(run: str, per_layer: PerLayer) -> Component:
    return html.Section(
        [
            html.H3(["Topic ratio by layer ", info("topic_ratio")]),
            graph(ratio_by_layer(per_layer), f"{run}-ratio", "Topic ratio by layer, with intervals"),
            html.P(
                "Below 1 a layer separates topics more than it separates harmful from benign.", className="dim small"
            ),
        ],
        className="stack",
    )


def layer_button(layer: int) -> Component:
    """Marks the layer in every chart and table of the page."""
    return html.Button(
        f"Layer {layer}",
        type="button",
        className="selects num",
        **dataset(layer=str(layer)),
        **aria(pressed="false"),
    )


def layer_marks(per_layer: PerLayer) -> list[dict[str, str]]:
    return [{"data-layer": str(row["layer"])} for row in per_layer]


def _drives(finished: Finished, per_layer: PerLayer) -> Component:
    confounded = wording.confounded(finished.report)
    columns = [
        Column("Layer"),
        Column("Driven by"),
        Column(html.Span(["ρ ", info("topic_ratio")]), numeric=True),
    ]
    rows = [
        [
            layer_button(row["layer"]),
            html.Span(wording.layer_drive(row, confounded=confounded), className=_colour(row, confounded)),
            interval(row.get("topic_ratio")),
        ]
        for row in per_layer
    ]
    table = plain_table(columns, rows, "What drives each layer", "table tall", marks=layer_marks(per_layer), light=True)
    return html.Section([html.H3("What drives each layer"), table], className="stack tall-table")


def _colour(row: Mapping[str, Any], confounded: bool) -> str:
    found = "" if confounded else follows(row.get("topic_ratio"))
    return "topic" if found in ("topic", "rather topic") else "harmful" if found == "safety" else "dim"


def numbers(per_layer: PerLayer) -> list[Component]:
    columns = [
        Column("Layer"),
        *(Column(html.Span([f"{name} JSD ", info(f"jsd_{key}")]), numeric=True) for key, name, _ in CONTRASTS),
        Column(html.Span(["Topic ratio ρ ", info("topic_ratio")]), numeric=True),
        Column(html.Span(["Router entropy, bits ", info("entropy")]), numeric=True),
        Column(html.Span(["Effective experts ", info("effective_experts")]), numeric=True),
    ]
    rows = [
        [
            layer_button(row["layer"]),
            *(interval(row.get(key)) for key, _, _ in CONTRASTS),
            interval(row.get("topic_ratio")),
            formats.number(row.get("entropy")),
            formats.number(row.get("effective_experts")),
        ]
        for row in per_layer
    ]
    table = plain_table(
        columns, rows, "Divergence by layer, with 95 % intervals", marks=layer_marks(per_layer), light=True
    )
    return [html.H2("The same in numbers"), table]
