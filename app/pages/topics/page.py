"""/ui/runs/{id}/topics: does routing follow what a prompt is about, or whether it is harmful? At which layers, which
topics lie close, which experts?

The layer that is marked everywhere and the matrix's prompts stand in the address (`layer`, `prompts`).
"""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.development.base_component import Component

from app import wording
from app.callbacks import Binder
from app.components import contents, info, interval, stat
from app.components.states import withheld
from app.pages.run.frame import Finished, run_view
from app.pages.topics import contrasts as topic_contrasts
from app.pages.topics import distances as topic_distances
from app.pages.topics import experts as topic_experts
from app.pages.topics import layers as topic_layers
from app.router import Page, View, Visit
from backend import formats
from backend.services import Services, routing_finding

MEAN = topic_distances.MEAN


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "topics", lambda finished: _topics(services, finished, visit))


PAGE = Page("/runs/{run_id}/topics", show)


def _topics(services: Services, finished: Finished, visit: Visit) -> Component:
    per_layer = services.results.topics(finished.run.id)
    parts = [
        ("layers", "Layer by layer", topic_layers.section(finished, per_layer)),
        ("contrasts", "Five contrasts", topic_contrasts.section(finished, per_layer)),
        ("distances", "Which topics lie close", topic_distances.section(services, finished, visit)),
        ("explained", "Which experts", topic_experts.section(services, finished)),
        ("numbers", "The same in numbers", topic_layers.numbers(per_layer)),
    ]
    shown = [(key, name, part) for key, name, part in parts if part is not None]
    return html.Div(
        [
            dcc.Store(id="topics-run", data=finished.run.id),
            dcc.Store(id="topics-address"),
            _finding(finished),
            html.Div(
                [
                    contents([(key, name) for key, name, _ in shown], _layer_choice(finished, visit)),
                    html.Div([html.Section(part, id=key, className="part") for key, _, part in shown]),
                ],
                className="beside",
            ),
        ],
        className="stack-3",
    )


def _finding(finished: Finished) -> Component:
    report = finished.report
    routing, jsd = report["routing"], report["routing"]["jsd"]
    why = wording.withheld_reason(report, "routing.topic_ratio")
    return html.Div(
        [
            html.H1([routing_finding(report), ": ρ = ", interval(routing["topic_ratio"])], className="num"),
            withheld("Topic ratio", why) if why else None,
            html.Div(
                [
                    stat("Topic ratio ρ", interval(routing["topic_ratio"]), "topic_ratio", _n(routing["topic_ratio"])),
                    stat("Topic", interval(jsd["topic"]), "jsd_topic", _n(jsd["topic"])),
                    stat("Safety", interval(jsd["safety"]), "jsd_safety", _n(jsd["safety"])),
                    stat("Within topic", interval(jsd["within_topic"]), "jsd_within_topic", _n(jsd["within_topic"])),
                ],
                className="stats",
            ),
        ],
        className="stack-2",
    )


def _n(value: Mapping[str, Any] | None) -> str | None:
    return f"n = {formats.count(value['n'])}" if value else None


def _layer_choice(finished: Finished, visit: Visit) -> Component:
    """Which layer is marked in every chart and table, and is the matrix's own."""
    layers = [str(row["layer"]) for row in finished.report["routing"]["per_layer"]]
    return html.Div(
        [
            html.Span(["Layer ", info("layer_choice")], className="field-label small"),
            dmc.Select(
                id="topics-layer",
                value=visit.query.get("layer", MEAN),
                data=[
                    {"value": MEAN, "label": "All, none marked"},
                    *({"value": one, "label": f"Layer {one}"} for one in layers),
                ],
                allowDeselect=False,
                size="xs",
                **{"aria-label": "Layer to mark"},
            ),
        ],
        className="stack aside-field",
    )


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("topics-matrix", "figure"),
        Output("topics-caption", "children"),
        Output("topics-neighbours", "children"),
        Input("topics-prompts", "value"),
        Input("topics-layer", "value"),
        State("topics-run", "data"),
        prevent_initial_call=True,
    )
    def redraw(prompts: str, layer: str, run_id: str) -> tuple[Any, str, Component | None]:
        drawn = topic_distances.draw(services, run_id, prompts, layer)
        return drawn.figure, drawn.caption, drawn.neighbours

    bind.in_browser(
        "rememberTopics",
        Output("topics-address", "data"),
        Input("topics-prompts", "value"),
        Input("topics-layer", "value"),
        prevent_initial_call=True,
    )
