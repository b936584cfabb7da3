"""/ui/runs: every run, newest first, under a card with the newest verdict.

What the list is narrowed to stands in the address. While something waits or runs, only the cells that say how far it is
are fetched; the list itself is drawn anew when a run begins or ends. The list is in `app.pages.runs.listing`.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses, wording
from app.callbacks import Binder
from app.components import aria, icon, interval, rate, stat, static_graph
from app.components.permitted import new_run_link
from app.components.states import empty, field_error
from app.figures import profile
from app.pages.runs.listing import LIVE, Chosen, active, changed, listed, live_cell
from app.router import Page, View, Visit
from backend.services import ExpertScopeError, RunInfo, Services, may

STATUSES = {
    "": "All",
    "queued": "Queued",
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
MODELS = 500


def show(services: Services, visit: Visit) -> View:
    chosen = Chosen.of(visit.query)
    body = html.Div(
        [
            html.Div([html.H1("Runs"), _begin()], className="spread page-head"),
            html.Div(id="import-fault", role="alert"),
            _latest(services) if chosen == Chosen() else None,
            _list(services, chosen),
        ],
        className="page",
    )
    return View("Runs", body)


PAGE = Page("/runs", show)
HOME = Page("/", show)


def _begin() -> Component | None:
    """A new run, or one that another server has made, which static/js/runs.js sends. Nothing for who only reads."""
    if not may("runs.write"):
        return None
    return html.Div(
        [
            html.Button(
                [icon("upload"), "Import"],
                id="run-import",
                type="button",
                className="button",
                title="A run's archive.zip, from its report page on this or another server",
            ),
            new_run_link(look="button primary"),
        ],
        className="row",
    )


def _list(services: Services, chosen: Chosen) -> Component:
    listing = chosen.fetch(services)
    if not listing.count and not chosen.filtered:
        return empty(
            "No run yet",
            "A run asks one model a set of prompts: which experts carry refusal, or what becomes of it when some are "
            "masked or tuned. Its progress, its verdict and its report will stand here.",
            new_run_link(look="button primary"),
        )
    return html.Div(
        [
            _filters(services, chosen),
            html.Div(listed(services, listing, chosen), id="runs-list"),
            dcc.Store(id="runs-query", data=asdict(chosen)),
            dcc.Store(id="runs-changed"),
            dcc.Interval(id="runs-poll", interval=2000, disabled=not active(listing.items)),
        ],
        className="stack-2",
    )


def _filters(services: Services, chosen: Chosen) -> Component:
    """Two rows of pills, each of which keeps what everything else is set to, then the model and a search."""
    kinds = {"": "All kinds", **{kind: name for kind, (name, _) in wording.KINDS.items()}}
    by_kind = {key: replace(chosen, kind=key or None, cursor=None).address for key in kinds}
    by_status = {key: replace(chosen, status=key or None, cursor=None).address for key in STATUSES}
    return html.Div(
        [
            html.Div(
                [
                    _pills(kinds, by_kind, chosen.kind, "Show runs by kind"),
                    _pills(STATUSES, by_status, chosen.status, "Show runs by status"),
                ],
                className="queue-pills",
            ),
            html.Div(
                [
                    dmc.Select(
                        id="runs-model",
                        data=_models(services),
                        value=chosen.model,
                        placeholder="Every model",
                        clearable=True,
                        searchable=True,
                        size="xs",
                        **aria(label="Show runs of one model"),
                    ),
                    dmc.TextInput(
                        id="runs-search",
                        value=chosen.search or "",
                        placeholder="Search runs, models, prompts",
                        debounce=300,
                        size="xs",
                        **aria(label="Search runs by name, model or prompts"),
                    ),
                ],
                className="queue-fields",
            ),
        ],
        className="queue-filters",
    )


def _models(services: Services) -> list[str]:
    return sorted({model.name for model in services.models.list(limit=MODELS).items})


def _pills(names: Mapping[str, str], hrefs: Mapping[str, str], chosen: str | None, label: str) -> Component:
    return html.Nav(
        [
            dcc.Link(
                html.Span(name, **(aria(current="true") if key == (chosen or "") else {})),
                href=hrefs[key],
                className="pill current" if key == (chosen or "") else "pill",
            )
            for key, name in names.items()
        ],
        className="row pills",
        **aria(label=label),
    )


def _latest(services: Services) -> Component | None:
    """The newest finished audit, large: its verdict, its numbers, a picture of its routing."""
    done = services.runs.list(status="done", kind="audit", limit=1).items
    return _card(done[0], services.results.summary(done[0].id)) if done else None


def _card(run: RunInfo, report: Mapping[str, Any]) -> Component:
    outcomes, routing = report["outcomes"], report["routing"]
    verdict = wording.verdict(run.headline or report["verdict"]["sentence"], report["verdict"].get("caveats", ()))
    return html.Section(
        [
            html.Div(
                [
                    html.P(["Latest audit · ", run.name], className="dim small"),
                    html.H2(dcc.Link(verdict.finding, href=addresses.run(run.id))),
                    html.P(verdict.basis, className="lead") if verdict.basis else None,
                    html.Div(
                        [
                            stat("Refuses harmful", rate(outcomes["refusal_harmful"]), "refusal"),
                            stat("Refuses benign", rate(outcomes["refusal_benign"]), "over_refusal"),
                            stat("Topic ratio ρ", interval(routing["topic_ratio"]), "topic_ratio"),
                            stat("Flagged experts", str(len(wording.flagged_places(report))), "evidence"),
                        ],
                        className="stats",
                    ),
                    dcc.Link(["Open the audit", icon("next")], href=addresses.run(run.id), className="button"),
                ],
                className="stack-2",
            ),
            html.Div(
                [
                    static_graph(profile(routing["per_layer"], height=132), "Topic and safety divergence by layer"),
                    html.P(
                        [
                            html.Span("topic", className="topic"),
                            " and ",
                            html.Span("safety", className="harmful"),
                            " divergence by layer",
                        ],
                        className="dim small",
                    ),
                ],
                className="card-figure",
            ),
        ],
        className="card latest",
    )


def register(bind: Binder) -> None:
    """Narrowing, cancelling, choosing two to compare; and while something runs, the list follows."""
    services = bind.services

    @bind.on(
        Output("runs-list", "children"),
        Output("runs-poll", "disabled"),
        Input("runs-search", "value"),
        Input("runs-model", "value"),
        Input("runs-changed", "data"),
        State("runs-query", "data"),
        prevent_initial_call=True,
    )
    def narrow(search: str | None, model: str | None, _changed: object, query: dict[str, str | None]) -> Any:
        chosen = Chosen(**query)
        wanted = replace(chosen, search=search or None, model=model or None)
        if wanted != chosen:
            wanted = replace(wanted, cursor=None)
        listing = wanted.fetch(services)
        return listed(services, listing, wanted), not active(listing.items)

    @bind.on(
        Output(LIVE, "children"),
        Output("runs-changed", "data", allow_duplicate=True),
        Input("runs-poll", "n_intervals"),
        State(LIVE, "id"),
        prevent_initial_call=True,
    )
    def follow(ticks: int, ids: list[dict[str, str]]) -> tuple[Any, Any]:
        try:
            runs = [services.runs.get(one["run"]) for one in ids]
        except ExpertScopeError:  # one of them was deleted
            return [no_update] * len(ids), f"{ticks}"
        if changed(ids, runs):
            return [no_update] * len(ids), f"{ticks}"
        places, alive = services.runs.places(), services.workers.alive()
        return [live_cell(run, places.get(run.id), alive) for run in runs], no_update

    @bind.on(
        Output("runs-changed", "data", allow_duplicate=True),
        Output("notice", "children", allow_duplicate=True),
        Input({"type": "run-cancel", "run": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def cancel(clicks: list[int | None]) -> tuple[Any, Any]:
        button = ctx.triggered_id
        if not any(clicks) or not button:
            return no_update, no_update
        try:
            services.runs.cancel(button["run"])
        except ExpertScopeError as error:
            return f"refused {button['run']}", field_error(error.message)
        return f"cancelled {button['run']}", ""

    bind.in_browser(
        "rememberRuns",
        Output("runs-query", "id"),
        Input("runs-search", "value"),
        Input("runs-model", "value"),
        prevent_initial_call=True,
    )
    bind.in_browser(
        "compareRuns",
        Output("runs-compare", "href"),
        Output("runs-compare", "className"),
        Output("runs-compare-note", "children"),
        Input({"type": "run-pick", "run": ALL}, "checked"),
        State({"type": "run-pick", "run": ALL}, "id"),
        prevent_initial_call=True,
    )
