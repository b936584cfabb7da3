"""A run of kind trace: which experts every layer uses, and whether routing follows topic or harm."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from dash import html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import Column, graph, info, interval, plain_table, stat
from app.components.certificate import certificate_text
from app.figures import divergence_by_layer, heatmap
from app.pages.documents.parts import asked, doubts, headline, made_with, section
from app.pages.run.frame import Documented, document_view
from app.pages.topics.layers import layer_button, layer_marks
from app.router import View, Visit
from backend import formats
from backend.services import Services

LIMITS = ("A trace only watches. Which experts a behaviour depends on, an audit's or a mask's interventions show.",)
BUSIEST = 3


def show(services: Services, visit: Visit) -> View:
    return document_view(services, visit, _trace)


def _trace(found: Documented) -> Component:
    document = found.document
    return html.Div(
        [
            headline(found),
            _routing(found),
            _load(found),
            html.Div([_capture(found), asked(found, *_answers(document))], className="halves"),
            doubts(document, *LIMITS),
            made_with(document),
        ],
        className="stack-3",
    )


def _answers(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    answers, longest = document["answers"], document["settings"]["max_new_tokens"]
    if answers is None:
        return [("Answers", "none: the prompts alone were traced")]
    ended = f"{formats.count(answers['finished'])} of {formats.count(answers['count'])} ended"
    return [("Answers", f"{ended} within {formats.plural(longest, 'token')}")]


def _routing(found: Documented) -> Component:
    routing = found.document["routing"]
    per_layer = routing["per_layer"]
    drawn = [row for row in per_layer if (row.get("topic") or {}).get("estimate") is not None]
    stats = html.Div(
        [
            stat("Topic ratio ρ", interval(routing["topic_ratio"]), "topic_ratio"),
            stat("Between topics, JSD", interval(routing["jsd"]["topic"]), "jsd_topic"),
            stat("Harmful and benign, JSD", interval(routing["jsd"]["safety"]), "jsd_safety"),
            stat("Within a topic, JSD", interval(routing["jsd"]["within_topic"]), "jsd_within_topic"),
        ],
        className="stats",
    )
    chart = (
        graph(
            divergence_by_layer(drawn),
            f"{found.run.id}-divergence",
            "Topic, safety and within-topic divergence by layer",
        )
        if drawn
        else None
    )
    note = "Bands are 95 % intervals from resampling topics. A click on a layer marks it."
    caption = html.P(note, className="dim small") if drawn else None
    title = html.Span(["Topic against harm, layer by layer ", info("jsd")])
    return section(title, stats, chart, caption, _layers(per_layer))


def _layers(per_layer: Sequence[Mapping[str, Any]]) -> Component:
    columns = [
        Column("Layer"),
        Column("Driven by"),
        Column(html.Span(["Topic ρ ", info("topic_ratio")]), numeric=True),
        Column(html.Span(["Between topics ", info("jsd_topic")]), numeric=True),
        Column(html.Span(["Harmful, benign ", info("jsd_safety")]), numeric=True),
        Column(html.Span(["Within a topic ", info("jsd_within_topic")]), numeric=True),
        Column(html.Span(["Router entropy ", info("entropy")]), numeric=True),
        Column(html.Span(["Effective experts ", info("effective_experts")]), numeric=True),
    ]
    rows = [
        [
            layer_button(row["layer"]),
            wording.layer_drive(row, confounded=False),
            *(interval(row[key]) for key in ("topic_ratio", "topic", "safety", "within_topic")),
            formats.NONE if row.get("entropy") is None else f"{formats.fixed(row['entropy'], 2)} bits",
            formats.number(row.get("effective_experts")),
        ]
        for row in per_layer
    ]
    return plain_table(columns, rows, "Routing by layer, with 95 % intervals", marks=layer_marks(per_layer), light=True)


def _load(found: Documented) -> Component:
    load = found.document["load"]
    values = np.array(load["frequency"]["all"], dtype=np.float32)
    drawn = heatmap(values, load["layers"], range(load["experts"]), quantity="frequency", label="selection frequency")
    return section(
        html.Span(["Which experts are used ", info("frequency")]),
        graph(drawn, f"{found.run.id}-load", "Selection frequency of every expert over all prompts, layer by layer"),
        html.P("Over the tokens of the prompts, averaged within a prompt first.", className="dim small"),
        _busiest(load),
    )


def _busiest(load: Mapping[str, Any]) -> Component:
    columns = [Column("Layer", numeric=True), Column("Busiest experts, with their selection frequency")]
    rows: list[list[Any]] = []
    for layer, values in zip(load["layers"], load["frequency"]["all"], strict=True):
        order = sorted(range(len(values)), key=lambda expert: -(values[expert] or 0.0))[:BUSIEST]
        named = [f"{formats.place(layer, expert)} {formats.percent(values[expert])}" for expert in order]
        rows.append([str(layer), ", ".join(named)])
    return plain_table(columns, rows, "The busiest experts of each layer", light=True)


def _capture(found: Documented) -> Component:
    certificate = found.document["certificate"]
    return section(
        html.Span(["Capture ", info("certificate")]),
        html.P(f"{'Exact' if certificate['passed'] else 'Not exact'}: {certificate_text(certificate)}."),
        html.P(html.A("Certificate", href=addresses.download(found.run.id, "certificate.json"))),
    )
