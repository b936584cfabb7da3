"""/ui/runs/{id}/interventions: what masking more and more experts costs, and masking busy ones, against random sets."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, formats, wording
from app.components import Column, graph, info, interval, plain_table, stat
from app.components.states import withheld
from app.figures import dose_curve
from app.pages.run_frame import Finished, run_view
from app.router import Page, View, Visit
from backend.services import Services

MISSING = "this run is older than the dose curve; run the audit again to get it"


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "interventions", _interventions)


PAGE = Page("/runs/{run_id}/interventions", show)


def _interventions(finished: Finished) -> Component:
    found = finished.report.get("interventions")
    if not found or not found["dose"]:
        why = wording.withheld_reason(finished.report, "interventions") or MISSING
        return html.Div([html.H1("No intervention was measured"), withheld("Dose curve", why)], className="stack-3")
    return html.Div(
        [
            html.H1(wording.dose_finding(found["dose"])),
            html.P(
                f"Masked by giving them weight 0, on {formats.plural(found['prompts'], 'harmful prompt')} of the half "
                "that was not looked at. Experts in order: flagged ones first, then by effect on the other half.",
                className="lead",
            ),
            _chart(finished, found["dose"]),
            html.Section([html.H2("The same in numbers"), _table(finished.run.id, found["dose"])], className="stack-2"),
            _committee(finished.run.id, found["committee"]),
        ],
        className="stack-3",
    )


def _chart(finished: Finished, doses: Sequence[Mapping[str, Any]]) -> Component:
    return html.Section(
        [
            html.H2(["Loss of refusal margin by number of experts ", info("dose")]),
            graph(
                dose_curve(doses),
                f"{finished.run.id}-dose",
                "Loss of refusal margin by number of masked experts, over random sets; the table has the numbers",
            ),
            html.P(
                "Dots have 95 % intervals from resampling topics. The band holds 95 % of the random sets, which have "
                "the same size and are matched in layer and frequency.",
                className="dim small",
            ),
        ],
        className="stack",
    )


def _table(run_id: str, doses: Sequence[Mapping[str, Any]]) -> Component:
    columns = [
        Column("Size", numeric=True),
        Column("Experts"),
        Column("Margin lost, nats", numeric=True),
        Column("Random sets, nats", numeric=True),
        Column("p", numeric=True),
        Column("Refusal lost", numeric=True),
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


def _committee(run_id: str, committee: Mapping[str, Any] | None) -> Component:
    if committee is None:
        return html.Section(
            [html.H2("Busy experts"), withheld("Committee", "too few experts are left for a set of that size")],
            className="stack-2",
        )
    return html.Section(
        [
            html.H2(["The busiest experts, for comparison ", info("committee")]),
            html.P(["Masked together: ", _places(run_id, committee["experts"]), "."]),
            html.Div(
                [
                    stat("Margin lost, nats", interval(committee["margin"]), "effect"),
                    stat("Refusal lost", interval(committee["refusal"]), "committee"),
                    stat("Mean frequency", formats.number(committee["frequency"]), "frequency"),
                ],
                className="stats",
            ),
        ],
        className="stack-2",
    )
