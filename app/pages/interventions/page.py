"""/ui/runs/{id}/interventions: what masking the flagged experts does to answers and what it costs, how many experts it
takes, and what other runs did with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import Column, contents, graph, info, interval, plain_table, stat
from app.components.states import withheld
from app.figures import dose_curve
from app.pages.interventions import answer_changes
from app.pages.interventions.flagged_effect import flagged_effect
from app.pages.run.act_on import act_on
from app.pages.run.frame import Finished, run_view
from app.pages.run.made_from import made_from
from app.router import Page, View, Visit
from backend import formats
from backend.services import Services

MISSING = "this run is older than the dose curve; run the audit again to get it"


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "interventions", lambda finished: _interventions(services, finished, visit))


PAGE = Page("/runs/{run_id}/interventions", show)


def _interventions(services: Services, finished: Finished, visit: Visit) -> Component:
    found = finished.report.get("interventions") or {}
    doses = found.get("dose") or []
    parts: list[tuple[str, str, Any]] = [
        ("flagged", "Flagged experts masked", flagged_effect(services, finished)),
        ("answers", "Answers by label", _answers(services, finished, visit)),
        ("dose", "How many it takes", _dose(finished, doses, found.get("prompts"))),
        ("committee", "Busy experts", _committee(finished.run.id, found.get("committee"))),
        ("runs", "Runs of these experts", _runs(services, finished)),
    ]
    return html.Div(
        [
            html.H1(wording.dose_finding(doses) if doses else "No dose curve was measured"),
            html.Div(
                [
                    contents([(key, name) for key, name, _ in parts]),
                    html.Div([html.Section(part, id=key, className="part") for key, _, part in parts]),
                ],
                className="beside",
            ),
        ],
        className="stack-3",
    )


def _answers(services: Services, finished: Finished, visit: Visit) -> list[Component]:
    title = html.H2(["Answers before and masked, by label ", info("answers_by_label")])
    if not finished.report["outcomes"].get("masked"):
        why = wording.withheld_reason(finished.report, "outcomes.masked") or "no expert is flagged, so none was masked"
        return [title, withheld("Answers by label", why)]
    return [title, answer_changes.answers_by_label(services, finished.run.id, visit.query)]


def _dose(finished: Finished, doses: Sequence[Mapping[str, Any]], prompts: int | None) -> list[Component]:
    title = html.H2(["Loss of refusal margin by number of experts ", info("dose")])
    if not doses:
        why = wording.withheld_reason(finished.report, "interventions") or MISSING
        return [title, withheld("Dose curve", why)]
    asked = formats.plural(prompts or 0, "harmful prompt")
    chart = html.Section(
        [
            html.H3(["Loss by number of experts ", info("margin")]),
            graph(
                dose_curve(doses),
                f"{finished.run.id}-dose",
                "Loss of refusal margin by number of masked experts, over random sets",
            ),
            html.P(
                f"On {asked}. Dots have 95 % intervals from resampling topics; the band holds 95 % of the random sets, "
                "which have the same size and are matched in layer and frequency.",
                className="dim small",
            ),
        ],
        className="stack",
    )
    return [
        title,
        html.P(
            "Masked by giving them weight 0, on the half of the prompts that was not looked at. Experts in order: "
            "flagged ones first, then by effect on the other half.",
            className="dim",
        ),
        chart,
        _table(finished.run.id, doses),
    ]


def _table(run_id: str, doses: Sequence[Mapping[str, Any]]) -> Component:
    columns = [
        Column("Size", numeric=True),
        Column("Experts"),
        Column(html.Span(["Margin lost, nats ", info("margin")]), numeric=True),
        Column(html.Span(["Random sets, nats ", info("null")]), numeric=True),
        Column(html.Span(["p ", info("place")]), numeric=True),
        Column(html.Span(["Refusal lost ", info("refusal_lost")]), numeric=True),
        Column("Random sets", numeric=True),
    ]
    rows = [
        [
            str(dose["size"]),
            _places(run_id, dose["experts"]),
            interval(dose["margin"]),
            _band(dose["null"], 2),
            formats.number(dose["p_value"]),
            interval(dose["refusal"]),
            _band(dose["null_refusal"], 3),
        ]
        for dose in doses
    ]
    return plain_table(columns, rows, "Losses by number of masked experts, beside random sets")


def _band(band: Mapping[str, Any], decimals: int) -> str:
    if not band["n"]:
        return "–"
    mean, low, high = (formats.fixed(band[key], decimals) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}], n = {formats.count(band['n'])}"


def _places(run_id: str, experts: Sequence[Sequence[int]]) -> Component:
    links: list[Component | str] = []
    for layer, expert in experts:
        links += [dcc.Link(formats.place(layer, expert), href=addresses.expert(run_id, layer, expert)), ", "]
    return html.Span(links[:-1])


def _committee(run_id: str, committee: Mapping[str, Any] | None) -> list[Component]:
    title = html.H2(["The busiest experts, for comparison ", info("committee")])
    if committee is None:
        return [title, withheld("Committee", "too few experts are left for a set of that size")]
    return [
        title,
        html.P(["Masked together: ", _places(run_id, committee["experts"]), "."]),
        html.Div(
            [
                stat("Margin lost, nats", interval(committee["margin"]), "margin"),
                stat("Refusal lost", interval(committee["refusal"]), "refusal_lost"),
                stat("Mean frequency", formats.number(committee["frequency"]), "frequency"),
            ],
            className="stats",
        ),
    ]


def _runs(services: Services, finished: Finished) -> list[Component | None]:
    """What was made of this audit's experts, and the way to make more."""
    nothing = html.P("No run has masked or tuned the experts of this audit yet.", className="dim")
    act = act_on(finished.run, wording.flagged_places(finished.report), flagged=True)
    none = None if act else html.P("Without a flagged expert there is nothing to mask or tune.", className="dim")
    return [
        html.H2("Runs of these experts"),
        made_from(services, finished.run) or (nothing if act else None),
        act,
        none,
    ]
