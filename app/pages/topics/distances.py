"""Which topics are routed alike: a clustered matrix of their distances, and each topic's nearest one."""

from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from app.components import Column, aria, dataset, graph, info, plain_table
from app.figures import topic_matrix
from app.pages.run.frame import Finished
from app.router import Visit
from backend import formats
from backend.services import ExpertScopeError, Services, TopicDistances, nearest_topics

MEAN = "mean"


@dataclass(frozen=True)
class Drawn:
    """What one choice of prompts and layer shows."""

    figure: Any
    caption: str
    neighbours: Component | None


def section(services: Services, finished: Finished, visit: Visit) -> list[Component]:
    prompts = visit.query.get("prompts", "benign")
    drawn = draw(services, finished.run.id, prompts, visit.query.get("layer", MEAN))
    choice = dmc.SegmentedControl(
        id="topics-prompts",
        value=prompts,
        data=[{"value": one, "label": one.capitalize()} for one in ("benign", "harmful")],
        size="xs",
        **{"aria-label": "Prompts of the matrix"},
    )
    matrix = html.Section(
        [
            html.H3(["Distance between topics ", info("topic_matrix")]),
            graph(drawn.figure, f"{finished.run.id}-topic-matrix", "Topic by topic divergence", id="topics-matrix"),
            html.P(drawn.caption, id="topics-caption", className="dim small"),
        ],
        className="stack",
    )
    return [
        html.Div([html.H2("Which topics lie close"), choice], className="spread"),
        html.Div(
            [matrix, html.Div(drawn.neighbours, id="topics-neighbours", className="tall-table")], className="two-thirds"
        ),
    ]


def draw(services: Services, run_id: str, prompts: str, layer: str) -> Drawn:
    """The picture of one choice; an empty picture whose caption says why where there is none."""
    try:
        shown = services.results.topic_matrix(run_id, prompts, None if layer == MEAN else _layer(layer))
    except ExpertScopeError as error:
        return Drawn(topic_matrix([], [], [], []), f"Not there: {error.message}.", None)
    behind = sum(sum(row[i:]) for i, row in enumerate(shown.pairs))
    where = "mean over layers" if shown.layer is None else f"layer {shown.layer}"
    caption = (
        f"{formats.count(behind)} pairs of {prompts} prompts, {where}. Topics routed alike stand together; a click "
        "selects a topic."
    )
    figure = topic_matrix(shown.topics, shown.values, shown.pairs, shown.order)
    return Drawn(figure, caption, _neighbours(shown))


def _layer(text: str) -> int:
    return int(text) if text.isdecimal() else -1


def _neighbours(shown: TopicDistances) -> Component:
    columns = [
        Column("Topic"),
        Column("Nearest"),
        Column(html.Span(["JSD ", info("topic_matrix")]), numeric=True),
        Column(html.Span(["Within ", info("jsd_within_topic")]), numeric=True),
    ]
    rows = [
        [
            topic_button(one.topic),
            topic_button(one.nearest) if one.nearest else formats.NONE,
            formats.number(one.distance),
            formats.number(one.within),
        ]
        for one in nearest_topics(shown)
    ]
    title = html.H3("Each topic and its nearest")
    return html.Section([title, plain_table(columns, rows, "Each topic and its nearest", "table")], className="stack")


def topic_button(topic: str) -> Component:
    """Selects the topic in every view of the run."""
    return html.Button(
        topic, type="button", className="selects", **dataset(select=f"topic:{topic}"), **aria(pressed="false")
    )
