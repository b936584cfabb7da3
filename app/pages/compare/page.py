"""/ui/compare: two finished audits side by side, what differs between them first.

Both runs and everything chosen stand in the address: a, b, quantity, group, window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.callbacks import Binder
from app.components import aria, icon
from app.components.permitted import new_run_link
from app.components.states import empty, field_error
from app.pages.compare.cells import Cells, draw_cells, heatmap_section
from app.pages.compare.parts import flagged, headers, layers, outcomes, ranks, routing, what_changed, withheld_list
from app.router import Page, View, Visit
from backend.services import ExpertScopeError, RunInfo, Services

MOST = 500
"""Runs to choose from: the newest."""


@dataclass(frozen=True)
class Pair:
    """The two runs that the address names; None where it names none, or one that does not exist."""

    a: RunInfo | None
    b: RunInfo | None

    @property
    def ids(self) -> tuple[str | None, str | None]:
        return (self.a.id if self.a else None, self.b.id if self.b else None)


def show(services: Services, visit: Visit) -> View:
    named = [visit.query.get(side) for side in ("a", "b")]
    pair = Pair(*(services.runs.get(run_id) if run_id else None for run_id in named))
    return View("Compare", html.Div(_page(services, pair, visit.query), className="page stack-3"), section="compare")


PAGE = Page("/compare", show)


def _page(services: Services, pair: Pair, query: Mapping[str, str]) -> list[Component | None]:
    if pair.a is None or pair.b is None:
        return [html.H1("Compare two audits"), *_chooser(services, pair), _empty(services, pair)]
    try:
        found = services.comparisons.compare(pair.a.id, pair.b.id)
    except ExpertScopeError as error:
        return [html.H1("These two cannot be compared"), *_chooser(services, pair), _refused(pair, error)]
    document, runs = found.as_dict(), (pair.a, pair.b)
    ids = (pair.a.id, pair.b.id)
    return [
        what_changed(found),
        *_chooser(services, pair),
        headers(document, runs, [services.results.certificate(run.id) for run in runs]),
        outcomes(document, ids),
        heatmap_section(services, ids, document, Cells.of(query)),
        flagged(document, ids),
        ranks(document),
        routing(document),
        layers(document),
        withheld_list(document),
    ]


def _chooser(services: Services, pair: Pair) -> list[Component | None]:
    """Two searchable lists of finished audits, and a link that swaps them."""
    offered = services.runs.list(status="done", kind="audit", limit=MOST).items
    known = {run.id for run in offered}
    options = [
        {"value": run.id, "label": run.name}
        for run in (*(run for run in (pair.a, pair.b) if run and run.id not in known), *offered)
    ]
    unique = list({option["value"]: option for option in options}.values())
    a, b = pair.ids
    swap = dcc.Link(
        html.Span([icon("swap"), "Swap"]), href=addresses.compare(b, a), className="button", id="compare-swap"
    )
    return [
        html.Div(
            [_select("a", "A, before", a, unique), swap if a and b else None, _select("b", "B, after", b, unique)],
            className="compare-chooser",
            role="group",
            **aria(label="Runs to compare"),
        ),
        dcc.Store(id="compare-address"),
    ]


def _select(side: str, label: str, value: str | None, options: list[dict[str, str]]) -> Component:
    chosen: Component = dmc.Select(
        id=f"compare-{side}",
        label=label,
        value=value,
        data=options,
        searchable=True,
        placeholder="Choose a finished audit",
        nothingFoundMessage="No such audit",
        size="sm",
        allowDeselect=False,
    )
    return chosen


def _empty(services: Services, pair: Pair) -> Component:
    finished = services.runs.list(status="done", kind="audit", limit=2).count
    what = (
        "What differs between the two comes first, then refusal, over-refusal and broken answers prompt by prompt, the "
        "change in routing of every expert, and which experts are flagged in one, the other or both."
    )
    if finished < 2:
        there = "There is one finished audit" if finished else "There is no finished audit"
        action = new_run_link(look="button primary")
        return empty("Two audits are needed", f"{there}. {what}", action)
    other = "the other audit" if pair.a or pair.b else "two audits"
    return empty(f"Choose {other} above", what)


def _refused(pair: Pair, error: ExpertScopeError) -> Component:
    """Why not, and where what the two found is to be read instead."""
    runs = {run.id: run for run in (pair.a, pair.b) if run is not None}
    links = [
        html.Li([dcc.Link(run.name, href=addresses.run(run.id)), html.Span(f" {_own(run)}", className="dim")])
        for run in runs.values()
    ]
    return html.Div([field_error(_sentence(error.message)), html.Ul(links, className="plain")], className="stack-2")


def _sentence(message: str) -> str:
    """The first letter large, and no address: the links below are for that."""
    text = message.partition(": what it found itself")[0]
    return f"{text[:1].upper()}{text[1:]}."


def _own(run: RunInfo) -> str:
    if run.kind in ("tune", "mask"):
        return "has before and after on its own page"
    return f"{wording.KINDS[run.kind][0].lower()}, {run.status}"


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("compare-heatmap", "figure"),
        Output("compare-caption", "children"),
        Input("compare-quantity", "value"),
        Input("compare-group", "value"),
        Input("compare-window", "value"),
        State("compare-runs", "data"),
        prevent_initial_call=True,
    )
    def redraw(quantity: str, group: str, window: str, runs: dict[str, Any]) -> tuple[Any, str]:
        drawn = draw_cells(services, (runs["a"], runs["b"]), runs["flagged"], Cells(quantity, group, window))
        return drawn.figure, drawn.caption

    bind.in_browser(
        "rememberCompare",
        Output("compare-address", "data", allow_duplicate=True),
        Input("compare-quantity", "value"),
        Input("compare-group", "value"),
        Input("compare-window", "value"),
        prevent_initial_call=True,
    )
    bind.in_browser(
        "chooseCompared",
        Output("compare-address", "data"),
        Input("compare-a", "value"),
        Input("compare-b", "value"),
        prevent_initial_call=True,
    )
