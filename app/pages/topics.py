"""/ui/runs/{id}/topics: does routing follow what a prompt is about, or whether it is harmful? Layer by layer.

The matrix's prompts and layer stand in the address.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.development.base_component import Component

from app import formats, wording
from app.callbacks import Binder
from app.components import Column, graph, info, interval, plain_table, stat
from app.components.states import withheld
from app.figures import contrasts_by_layer, divergence_by_layer, explained_scatter, ratio_by_layer, topic_matrix
from app.figures.explained import ExplainedPoints
from app.pages.run_frame import Finished, run_view
from app.router import Page, View, Visit
from backend.services import ExpertScopeError, Services

CONTRASTS = (
    ("topic", "Topic", "benign prompts of two topics"),
    ("within_topic", "Within topic", "benign prompts of one topic"),
    ("safety", "Safety", "a harmful prompt and its benign twin"),
    ("refusal_prefix", "Refusal prefix", "a harmful prompt, without and with a refusal behind it"),
    ("behaviour", "Behaviour", "a refusal and its stand-in, behind one harmful prompt"),
)
MEAN = "mean"


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "topics", lambda finished: _topics(services, finished, visit))


PAGE = Page("/runs/{run_id}/topics", show)


def _topics(services: Services, finished: Finished, visit: Visit) -> Component:
    report, per_layer = finished.report, services.results.topics(finished.run.id)
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
            _contrasts(finished, per_layer),
            _matrix(services, finished, visit),
            _explained(services, finished),
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


def _contrasts(finished: Finished, per_layer: Sequence[Mapping[str, Any]]) -> Component | None:
    """All five contrasts, and how many experts their sides share. None for a run from before there were five."""
    routing, top_k = finished.report["routing"], finished.report["model"]["top_k"]
    if "overlap" not in routing:
        return None
    why = wording.withheld_reason(finished.report, "routing.jsd.behaviour")
    return html.Section(
        [
            html.H2(["Five contrasts ", info("jsd")]),
            withheld("Refusal prefix and behaviour", why) if why else None,
            graph(
                contrasts_by_layer(per_layer),
                f"{finished.run.id}-contrasts",
                "Divergence of five contrasts by layer, one panel each, on one scale; the table below has the means",
            ),
            html.H3(["Shared experts ", info("overlap")]),
            graph(
                contrasts_by_layer(per_layer, overlap=True, top_k=top_k),
                f"{finished.run.id}-overlap",
                f"How many of {top_k} experts the sides of each contrast share, by layer; the table has the means",
            ),
            _five(routing, top_k),
            _forced(routing.get("forced")),
        ],
        className="stack-2",
    )


def _five(routing: Mapping[str, Any], top_k: int) -> Component:
    columns = [
        Column("Contrast"),
        Column("Between"),
        Column("JSD", numeric=True),
        Column(f"Shared of {top_k}", numeric=True),
        Column("Topics", numeric=True),
    ]
    rows = [
        [
            html.Span([name, " ", info(f"jsd_{key}")]),
            between,
            interval(routing["jsd"].get(key)),
            interval(routing["overlap"].get(key)),
            formats.count(routing["jsd"][key]["n"]),
        ]
        for key, name, between in CONTRASTS
    ]
    return plain_table(columns, rows, "The five contrasts, mean over layers, with 95 % intervals")


def _forced(forced: Mapping[str, Any] | None) -> Component | None:
    """Which answers were forced, in their words."""
    if forced is None:
        return None
    origin = {"own answers": "from the model's own answers", "built-in": "built in"}
    refusal, stand_in = forced["refusal"], forced["stand_in"]
    answers = " and ".join(f"“{one['text']}” ({origin[one['source']]})" for one in (refusal, stand_in))
    where = f"{formats.plural(forced['prompts'], 'harmful prompt')}, {formats.plural(refusal['tokens'], 'token')} each"
    return html.P(
        f"Forced on {where}: {answers}. Their words differ too, and few tokens lie farther apart than many: not all of "
        "the behaviour contrast is refusing.",
        className="dim small",
    )


def _matrix(services: Services, finished: Finished, visit: Visit) -> Component | None:
    """Topic by topic, with a choice of prompts and layer. None for a run from before there was a matrix."""
    if "topic_matrix" not in finished.report["routing"]:
        return None
    prompts = visit.query.get("prompts", "benign")
    layer = visit.query.get("layer", MEAN)
    figure, caption = draw_matrix(services, finished.run.id, prompts, layer)
    layers = [str(row["layer"]) for row in finished.report["routing"]["per_layer"]]
    return html.Section(
        [
            dcc.Store(id="topics-run", data=finished.run.id),
            dcc.Store(id="topics-address"),
            html.Div(
                [
                    html.H2(["Distance between topics ", info("topic_matrix")]),
                    html.Div(
                        [
                            dmc.SegmentedControl(
                                id="topics-prompts",
                                value=prompts,
                                data=[{"value": one, "label": one.capitalize()} for one in ("benign", "harmful")],
                                size="xs",
                            ),
                            dmc.Select(
                                id="topics-layer",
                                value=layer,
                                data=[
                                    {"value": MEAN, "label": "Mean over layers"},
                                    *({"value": one, "label": f"Layer {one}"} for one in layers),
                                ],
                                allowDeselect=False,
                                size="xs",
                                **{"aria-label": "Layer of the matrix"},
                            ),
                        ],
                        className="row",
                    ),
                ],
                className="spread",
            ),
            graph(figure, "topic-matrix", "Topic by topic divergence; the API has the numbers", id="topics-matrix"),
            html.P(caption, id="topics-caption", className="dim small"),
        ],
        className="stack",
    )


def draw_matrix(services: Services, run_id: str, prompts: str, layer: str) -> tuple[Any, str]:
    """The picture of one choice and its caption; an empty picture whose caption says why where there is none."""
    try:
        mean = services.results.topic_matrix(run_id, prompts)
        shown = mean if layer == MEAN else services.results.topic_matrix(run_id, prompts, _layer(layer))
    except ExpertScopeError as error:
        return topic_matrix([], [], []), f"Not there: {error.message}."
    behind = sum(sum(row[i:]) for i, row in enumerate(shown.pairs))
    where = "mean over layers" if shown.layer is None else f"layer {shown.layer}"
    caption = f"{formats.count(behind)} pairs of {prompts} prompts, {where}. Topics routed alike stand together."
    return topic_matrix(shown.topics, shown.values, shown.pairs, order=mean.values), caption


def _layer(text: str) -> int:
    return int(text) if text.isdecimal() else -1


def _explained(services: Services, finished: Finished) -> Component | None:
    """Topic against harm for every expert."""
    report = finished.report
    if "explained" not in report["routing"]:
        return None
    found = report["routing"]["explained"]
    heading = html.H2(["What explains an expert's use ", info("eta")])
    if found is None:
        why = wording.withheld_reason(report, "routing.explained") or "the prompts cannot carry it"
        return html.Section([heading, withheld("Explained by topic, by harm", why)], className="stack")
    by_topic, by_harm = (formats.number(found["chance"][factor], 2) for factor in ("topic", "harm"))
    caption = (
        f"{formats.plural(finished.experts_count, 'expert')}, {formats.plural(found['prompts'], 'prompt')}. "
        f"Dotted: what chance alone explains, {by_topic} by topic and {by_harm} by harm."
    )
    points = ExplainedPoints.of(services.results.expert_table(finished.run.id).columns)
    if points.rest:
        caption += (
            f" Dots are the flagged experts and the {formats.count(len(points.layer))} most explained by either; the "
            f"other {formats.count(points.rest)} are the grey shades, darker where more of them lie."
        )
    return html.Section(
        [
            heading,
            graph(
                explained_scatter(points, found["chance"]),
                f"{finished.run.id}-explained",
                "Each expert's use explained by topic against that explained by harm; experts.csv has the numbers",
            ),
            html.P(caption, className="dim small"),
        ],
        className="stack",
    )


def _table(per_layer: Sequence[Mapping[str, Any]]) -> Component:
    columns = [
        Column("Layer", numeric=True),
        *(Column(f"{name} JSD", numeric=True) for _, name, _ in CONTRASTS),
        Column("Topic ratio ρ", numeric=True),
        Column(html.Span(["Router entropy, bits ", info("entropy")]), numeric=True),
        Column(html.Span(["Effective experts ", info("effective_experts")]), numeric=True),
    ]
    rows = [
        [
            str(row["layer"]),
            *(interval(row.get(key)) for key, _, _ in CONTRASTS),
            interval(row.get("topic_ratio")),
            formats.number(row.get("entropy")),
            formats.number(row.get("effective_experts")),
        ]
        for row in per_layer
    ]
    return plain_table(columns, rows, "Divergence by layer, with 95 % intervals")


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("topics-matrix", "figure"),
        Output("topics-caption", "children"),
        Input("topics-prompts", "value"),
        Input("topics-layer", "value"),
        State("topics-run", "data"),
        prevent_initial_call=True,
    )
    def redraw(prompts: str, layer: str, run_id: str) -> tuple[Any, str]:
        return draw_matrix(services, run_id, prompts, layer)

    bind.in_browser(
        "rememberTopics",
        Output("topics-address", "data"),
        Input("topics-prompts", "value"),
        Input("topics-layer", "value"),
        prevent_initial_call=True,
    )
