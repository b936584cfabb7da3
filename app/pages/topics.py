"""/ui/runs/{id}/topics: does routing follow what a prompt is about, or whether it is harmful? Layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from app import formats, wording
from app.components import Column, graph, info, interval, plain_table, stat
from app.components.states import withheld
from app.figures import divergence_by_layer, ratio_by_layer
from app.pages.run_frame import Finished, run_view
from app.router import Page, View, Visit
from backend.services import Services


def show(services: Services, visit: Visit) -> View:
    return run_view(
        services, visit, "topics", lambda finished: _topics(finished, services.results.topics(finished.run.id))
    )


PAGE = Page("/runs/{run_id}/topics", show)


def _topics(finished: Finished, per_layer: Sequence[Mapping[str, Any]]) -> Component:
    report = finished.report
    routing = report["routing"]
    jsd = routing["jsd"]
    why = wording.withheld_reason(report, "routing.topic_ratio")
    return html.Div(
        [
            html.H1([wording.routing_finding(report), ": ρ = ", interval(routing["topic_ratio"])], className="num"),
            withheld("Topic ratio", why) if why else None,
            html.Div(
                [
                    stat("Topic", interval(jsd["topic"]), "jsd_topic", _n(jsd["topic"])),
                    stat("Safety", interval(jsd["safety"]), "jsd_safety", _n(jsd["safety"])),
                    stat("Within topic", interval(jsd["within_topic"]), "jsd_within_topic", _n(jsd["within_topic"])),
                    stat("Topic ratio ρ", interval(routing["topic_ratio"]), "topic_ratio", _n(routing["topic_ratio"])),
                ],
                className="stats",
            ),
            _chart(finished, per_layer),
            _ratios(finished, per_layer),
            html.Section([html.H2("The same in numbers"), _table(per_layer)], className="stack-2"),
        ],
        className="stack-3",
    )


def _n(value: Mapping[str, Any] | None) -> str | None:
    return f"n = {formats.count(value['n'])}" if value else None


def _chart(finished: Finished, per_layer: Sequence[Mapping[str, Any]]) -> Component:
    return html.Section(
        [
            html.H2(["Divergence by layer ", info("jsd")]),
            graph(
                divergence_by_layer(per_layer),
                f"{finished.run.id}-topics",
                "Divergence of the topic, safety and within-topic contrasts by layer; the table has the numbers",
            ),
            html.P("Bands are 95 % intervals from resampling topics.", className="dim small"),
        ],
        className="stack",
    )


def _ratios(finished: Finished, per_layer: Sequence[Mapping[str, Any]]) -> Component:
    return html.Section(
        [
            html.H2(["Topic ratio by layer ", info("topic_ratio")]),
            graph(
                ratio_by_layer(per_layer), f"{finished.run.id}-ratio", "Topic ratio by layer; the table has the numbers"
            ),
            html.P(
                "Below 1 a layer separates topics more than it separates harmful from benign.", className="dim small"
            ),
        ],
        className="stack",
    )


def _table(per_layer: Sequence[Mapping[str, Any]]) -> Component:
    columns = [
        Column("Layer", numeric=True),
        Column("Topic JSD", numeric=True),
        Column("Safety JSD", numeric=True),
        Column("Within-topic JSD", numeric=True),
        Column("Topic ratio ρ", numeric=True),
        Column(html.Span(["Router entropy, bits ", info("entropy")]), numeric=True),
        Column(html.Span(["Effective experts ", info("effective_experts")]), numeric=True),
    ]
    rows = [
        [
            str(row["layer"]),
            *(interval(row.get(key)) for key in ("topic", "safety", "within_topic", "topic_ratio")),
            formats.number(row.get("entropy")),
            formats.number(row.get("effective_experts")),
        ]
        for row in per_layer
    ]
    return plain_table(columns, rows, "Divergence by layer, with 95 % intervals")
