"""/ui/runs: every run, newest first, under a card with the newest verdict."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dash import Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses, formats, wording
from app.callbacks import Binder
from app.components import Column, aria, icon, interval, plain_table, rate, stat, static_graph, status
from app.components.states import empty
from app.figures import profile
from app.router import Page, View, Visit
from backend.services import ENDED, RunInfo, Services
from backend.services import Page as Listing

PER_PAGE = 25
STATUSES = {"": "All", "running": "Running", "done": "Done", "failed": "Failed", "cancelled": "Cancelled"}


@dataclass(frozen=True)
class Chosen:
    """What the list is narrowed to, as it stands in the address."""

    status: str | None = None
    kind: str | None = None
    cursor: str | None = None

    @property
    def filtered(self) -> bool:
        return self.status is not None or self.kind is not None


def show(services: Services, visit: Visit) -> View:
    chosen = Chosen(*(visit.query.get(name) for name in ("status", "kind", "cursor")))
    listing = services.runs.list(status=chosen.status, kind=chosen.kind, limit=PER_PAGE, cursor=chosen.cursor)
    body = html.Div(
        [
            html.Div([html.H1("Runs"), _new_run()], className="spread page-head"),
            _latest(services) if chosen == Chosen() else None,
            _list(listing, chosen),
        ],
        className="page",
    )
    return View("Runs", body)


PAGE = Page("/runs", show)
HOME = Page("/", show)


def _new_run() -> Component:
    return dcc.Link([icon("plus"), "New run"], href=addresses.NEW_RUN, className="button primary")


def _list(listing: Listing[RunInfo], chosen: Chosen) -> Component:
    if not listing.count and not chosen.filtered:
        return empty(
            "No run yet",
            "A run asks one model a set of prompts: which experts carry refusal, or what becomes of it when some are "
            "masked or tuned. Its progress, its verdict and its report will stand here.",
            _new_run(),
        )
    return html.Div(
        [
            html.Div([html.H2(_heading(listing.count, chosen)), _filters(chosen)], className="spread"),
            html.Div(run_table(listing.items), id="runs-table"),
            _more(listing, chosen),
            dcc.Store(id="runs-query", data=asdict(chosen)),
            dcc.Interval(id="runs-poll", interval=2000, disabled=all(run.status in ENDED for run in listing.items)),
        ],
        className="stack-2",
    )


def _heading(count: int, chosen: Chosen) -> str:
    kind = f"{chosen.kind} run" if chosen.kind else "run"
    return f"{formats.plural(count, kind)} {chosen.status or ''}".strip()


def _filters(chosen: Chosen) -> Component:
    """Two rows of pills, each of which keeps what the other is set to."""
    kinds = {"": "All kinds", **{kind: name for kind, (name, _) in wording.KINDS.items()}}
    by_kind = {key: addresses.runs(chosen.status, kind=key or None) for key in kinds}
    by_status = {key: addresses.runs(key or None, kind=chosen.kind) for key in STATUSES}
    return html.Div(
        [
            _pills(kinds, by_kind, chosen.kind, "Show runs by kind"),
            _pills(STATUSES, by_status, chosen.status, "Show runs by status"),
        ],
        className="row row-wide",
    )


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


def _more(listing: Listing[RunInfo], chosen: Chosen) -> Component:
    further, first = (
        addresses.runs(chosen.status, listing.next, chosen.kind),
        addresses.runs(chosen.status, kind=chosen.kind),
    )
    older = dcc.Link("Older", href=further, className="button") if listing.next else None
    newest = dcc.Link("Newest", href=first, className="button") if chosen.cursor else None
    return html.Div([newest, older], className="row")


def run_table(runs: list[RunInfo]) -> Component:
    """The list itself, which the page also refreshes while something runs."""
    if not runs:
        return html.P("No run is of this kind and status.", className="dim")
    columns = [
        Column("Status"),
        Column("Kind"),
        Column("Run"),
        Column("Model"),
        Column("Prompts"),
        Column("Preset"),
        Column("Started", numeric=True),
        Column("Took", numeric=True),
    ]
    return plain_table(columns, [_row(run) for run in runs], "Runs, newest first", "table runs")


def _row(run: RunInfo) -> list[Any]:
    verdict = run.headline or run.error or (_how_far(run) if run.status == "running" else "")
    return [
        status(run.status),
        wording.KINDS[run.kind][0],
        html.Div(
            [
                dcc.Link(run.name, href=addresses.run(run.id), className="row-link"),
                html.Span(verdict, className="dim verdict"),
            ],
            className="run-cell",
        ),
        run.model.name,
        f"{run.prompt_set.name}, {formats.count(run.prompt_set.prompts)}",
        run.preset,
        formats.moment(run.started or run.created),
        _took(run),
    ]


def _how_far(run: RunInfo) -> str:
    if run.progress is None:
        return "Starting"
    stage = wording.stage(run.kind, run.progress.stage)
    return f"{stage}: {run.progress.done} of {run.progress.total}"


def _took(run: RunInfo) -> str:
    if run.status == "running" and run.progress and run.progress.eta_seconds is not None:
        return f"{formats.seconds(run.progress.eta_seconds)} left"
    if run.started is None or run.finished is None:
        return formats.NONE
    return formats.seconds((run.finished - run.started).total_seconds())


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
    """While something runs, the list follows."""
    services = bind.services

    @bind.on(
        Output("runs-table", "children"),
        Output("page-reload", "data", allow_duplicate=True),
        Input("runs-poll", "n_intervals"),
        State("runs-query", "data"),
        prevent_initial_call=True,
    )
    def follow(ticks: int, query: dict[str, str | None]) -> tuple[Any, Any]:
        chosen = Chosen(**query)
        listing = services.runs.list(status=chosen.status, kind=chosen.kind, limit=PER_PAGE, cursor=chosen.cursor)
        if all(run.status in ENDED for run in listing.items):
            return no_update, f"runs {ticks}"
        return run_table(listing.items), no_update
