"""Which experts follow topic and which follow harm: two shares of each expert's use, as a picture to select from."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from app import wording
from app.components import Column, aria, dataset, graph, info, plain_table
from app.components.states import withheld
from app.figures import explained_scatter
from app.figures.explained import ExplainedPoints
from app.pages.run.frame import Finished
from backend import formats
from backend.services import Services


def section(services: Services, finished: Finished) -> list[Component] | None:
    """None for a run from before this was computed."""
    report = finished.report
    if "explained" not in report["routing"]:
        return None
    found = report["routing"]["explained"]
    heading = html.H2(["Which experts follow topic, which harm ", info("eta")])
    if found is None:
        why = wording.withheld_reason(report, "routing.explained") or "the prompts cannot carry it"
        return [heading, withheld("Explained by topic, by harm", why)]
    return [
        heading,
        html.Div([_scatter(services, finished, found), _flagged(finished.flagged)], className="two-thirds"),
    ]


def _scatter(services: Services, finished: Finished, found: Mapping[str, Any]) -> Component:
    points = ExplainedPoints.of(services.results.expert_table(finished.run.id).columns)
    by_topic, by_harm = (formats.number(found["chance"][factor], 2) for factor in ("topic", "harm"))
    caption = (
        f"{formats.plural(finished.experts_count, 'expert')}, {formats.plural(found['prompts'], 'prompt')}. "
        f"Dotted: what chance alone explains, {by_topic} by topic and {by_harm} by harm. Drag over dots to select "
        "their experts; in the table, Enter on a row does."
    )
    if points.rest:
        caption += (
            f" Dots are the flagged experts and the {formats.count(len(points.layer))} most explained by either; the "
            f"other {formats.count(points.rest)} are the grey shades, darker where more of them lie."
        )
    return html.Section(
        [
            html.H3("Use explained by topic and by harm"),
            graph(
                explained_scatter(points, found["chance"]),
                f"{finished.run.id}-explained",
                "Each expert's use explained by topic against that explained by harm",
            ),
            html.P(caption, className="dim small"),
        ],
        className="stack",
    )


def _flagged(rows: Sequence[Mapping[str, Any]]) -> Component:
    """What explains the use of those that carry refusal."""
    title = html.H3("The flagged experts")
    if not rows:
        return html.Section([title, html.P("No expert is flagged.", className="dim")], className="stack")
    columns = [
        Column("Expert"),
        Column(html.Span(["Topic η² ", info("eta")]), numeric=True),
        Column(html.Span(["Harm η² ", info("eta")]), numeric=True),
    ]
    body = [
        [expert_button(row["layer"], row["expert"]), *(_eta(row, factor) for factor in ("topic", "harm"))]
        for row in rows
    ]
    marks = [{"data-place": f"{row['layer']}.{row['expert']}"} for row in rows]
    note = html.P(
        "Routing that follows topic can still carry refusal: what an expert does, not when it is chosen, decides.",
        className="dim small",
    )
    return html.Section(
        [title, plain_table(columns, body, "What explains the use of flagged experts", marks=marks), note],
        className="stack",
    )


def _eta(row: Mapping[str, Any], factor: str) -> str:
    return formats.number((row.get("details") or {}).get(f"eta_{factor}"))


def expert_button(layer: int, expert: int) -> Component:
    """Selects the expert in every view of the run."""
    return html.Button(
        formats.place(layer, expert),
        type="button",
        className="selects num",
        **dataset(select=f"expert:{layer}.{expert}"),
        **aria(pressed="false"),
    )
