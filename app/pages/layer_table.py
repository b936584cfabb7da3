"""The layers below the routing heatmap: how undecided, how even and how specialised each one is."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, formats
from app.components import Column, info, plain_table

NAMES = {
    "coactivation": "Co-activation",
    "topic_specialisation": "Topic specialisation",
    "vocabulary_specialisation": "Vocabulary specialisation",
}


def layer_table(run_id: str, report: Mapping[str, Any]) -> Component:
    """One row for each MoE layer, and a line for what the report withholds."""
    per_layer: Sequence[Mapping[str, Any]] = report["routing"]["per_layer"]
    columns = [
        Column("Layer", numeric=True),
        Column(html.Span(["Router entropy ", info("entropy")]), numeric=True),
        Column(html.Span(["Effective experts ", info("effective_experts")]), numeric=True),
        Column(html.Span(["Vocabulary ", info("vocabulary_specialisation")]), numeric=True),
        Column(html.Span(["Most of one topic ", info("topic_specialisation")])),
        Column(html.Span(["Work together most ", info("coactivation")])),
    ]
    rows = [
        [
            str(row["layer"]),
            _bits(row.get("entropy")),
            formats.number(row.get("effective_experts")),
            _vocabulary(row.get("vocabulary_specialisation")),
            _topic(run_id, row),
            _pair(run_id, row),
        ]
        for row in per_layer
    ]
    return html.Section(
        [html.H2("Layers"), plain_table(columns, rows, "Routing by layer"), *_withheld(report)], className="stack"
    )


def _bits(value: float | None) -> str:
    return formats.NONE if value is None else f"{formats.fixed(value, 2)} bits"


def _vocabulary(found: Mapping[str, Any] | None) -> Any:
    if not found:
        return formats.NONE
    return [
        formats.percent(found["mean"]),
        html.Span(f" against {formats.percent(found['baseline'])}", className="ci"),
    ]


def _topic(run_id: str, row: Mapping[str, Any]) -> Any:
    found = row.get("topic_specialisation")
    if not found:
        return formats.NONE
    lift = html.Span(f" {formats.number(found['lift'], 2)} ×", className="ci")
    return [_link(run_id, row["layer"], found["expert"]), f" {found['topic']}", lift]


def _pair(run_id: str, row: Mapping[str, Any]) -> Any:
    found = row.get("coactivation")
    if not found:
        return formats.NONE
    first, second = (_link(run_id, row["layer"], found[name]) for name in ("expert", "partner"))
    lift = html.Span(f" {formats.number(found['lift'], 2)} ×", className="ci")
    return [first, " → ", second, f" {formats.percent(found['probability'])}", lift]


def _link(run_id: str, layer: int, expert: int) -> Component:
    href = addresses.expert(run_id, layer, expert)
    return dcc.Link(formats.place(layer, expert), href=href, className="row-link")


def _withheld(report: Mapping[str, Any]) -> list[Component]:
    reasons = {item["what"].removeprefix("routing.per_layer."): item["why"] for item in report["withheld"]}
    return [
        html.P(f"{name} withheld: {reasons[key]}.", className="dim small")
        for key, name in NAMES.items()
        if key in reasons
    ]
