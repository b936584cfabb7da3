"""/ui/admin: whether the installation works, what waits, what is stored, which settings are in force, what was done.

Health and queue follow by themselves; which entries of the audit log are shown stands in the address.
"""

import json
from collections.abc import Mapping
from typing import Any

from dash import ALL, Input, Output, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses, formats
from app.callbacks import Binder
from app.components import Column, aria, icon, info, plain_table, stat
from app.components.states import empty, field_error
from app.pages.run.report import facts_list
from app.pages.runs.listing import live_cell
from app.router import Page, View, Visit
from backend.services import AuditEntry, ExpertScopeError, RunInfo, Services, Settings, StatusReport, WorkerInfo

PER_PAGE = 25
EXPORT = "/api/v1/audit-log"


def show(services: Services, visit: Visit) -> View:
    found = services.status.read()
    body = html.Div(
        [
            html.Div(_now(found), id="admin-now", className="stack-3"),
            dcc.Interval(id="admin-poll", interval=5000),
            _accounts(services.settings),
            html.Section([html.H2("Storage"), _storage(found)], className="stack-2"),
            html.Section([html.H2("Audit log", id="audit-log"), _audit_log(services, visit)], className="stack-2"),
            html.Section([html.H2("Settings in force"), _settings(found)], className="stack-2"),
            html.Section([html.H2("Software and device"), _software(found)], className="stack-2"),
        ],
        className="page stack-3",
    )
    return View("Admin", body, section="admin")


PAGE = Page("/admin", show)


def _now(found: StatusReport) -> list[Component]:
    """Health and queue, which are fetched again every few seconds."""
    heading = "Something needs attention" if found.problems else "Everything is running"
    return [
        html.Div(
            [
                html.H1(heading),
                *(html.P([icon("warn"), " ", html.Span(one)], className="caveat") for one in found.problems),
                html.P(f"As of {found.time.astimezone():%H:%M:%S}.", className="dim small num"),
            ],
            className="stack",
        ),
        html.Div([_health(found), _queue(found)], className="admin-grid"),
    ]


def _health(found: StatusReport) -> Component:
    facts: list[tuple[str, Any]] = [("Database", [icon("check"), " answers"]), *_workers(found)]
    return html.Section([html.H2("Health"), facts_list(facts)], className="stack-2")


def _workers(found: StatusReport) -> list[tuple[str, Any]]:
    """The worker heard last, and how many there are where there are several."""
    facts = _worker(found.worker)
    if len(found.workers) > 1:
        pids = ", ".join(str(worker.pid) for worker in found.workers)
        facts.append(("Workers", f"{len(found.workers)} alive, processes {pids}"))
    return facts


def _worker(worker: WorkerInfo | None) -> list[tuple[str, Any]]:
    if worker is None:
        return [("Worker", [icon("cross"), " never heard"])]
    glyph, state = ("check", f"alive since {formats.moment(worker.started)}") if worker.alive else ("cross", "silent")
    return [
        ("Worker", [icon(glyph), f" {state}"]),
        ("Last heartbeat", [f"{worker.seen.astimezone():%d %b %H:%M:%S} ", info("heartbeat")]),
        ("Process", str(worker.pid)),
    ]


def _queue(found: StatusReport) -> Component:
    queue = found.queue
    alive = found.worker is not None and found.worker.alive
    if not queue.running and not queue.waiting:
        inside: Component = html.P("Nothing runs and nothing waits.", className="dim")
    else:
        items = [_queued(run, None, alive) for run in queue.running]
        items += [_queued(run, place, alive) for place, run in enumerate(queue.waiting, start=1)]
        inside = html.Ul(items, className="queue-list")
    count = f"{len(queue.running)} running, {formats.count(queue.count)} waiting"
    link = dcc.Link("All runs", href=addresses.RUNS, className="small")
    return html.Section(
        [
            html.Div([html.H2("Queue"), html.Span([count, " · ", link], className="dim num")], className="spread"),
            inside,
        ],
        className="stack-2",
    )


def _queued(run: RunInfo, place: int | None, alive: bool) -> Component:
    return html.Li(
        [
            html.Div(
                [
                    dcc.Link(run.name, href=addresses.run(run.id), className="row-link"),
                    html.Div(live_cell(run, place, alive), className="run-live"),
                ],
                className="run-cell",
            ),
            html.Button(
                "Stopping…" if run.cancel_requested else "Cancel",
                id={"type": "admin-cancel", "run": run.id},
                type="button",
                disabled=run.cancel_requested,
                className="button small-button",
                **aria(label=f"Cancel {run.name}"),
            ),
        ]
    )


def _accounts(settings: Settings) -> Component:
    """Who may do what: there are no accounts, so it is whoever reaches the server."""
    if settings.on_loopback:
        text = (
            "There are no accounts. This server listens on this machine alone, for a single user: whoever uses it here "
            "is its administrator."
        )
    else:
        text = (
            f"There are no accounts. This server listens on {settings.host}, and everyone who can reach it may see and "
            "start runs; EXPERTSCOPE_TRUSTED_NETWORK confirms that this is meant."
        )
    return html.P(text, className="withheld")


def _storage(found: StatusReport) -> Component:
    held = found.storage
    runs = formats.size(held.runs_bytes)
    numbers = [
        stat("Database", _size(held.database_bytes), "database_size"),
        stat("Runs' folder", runs if held.runs_complete else f"over {runs}", "runs_size"),
        stat("Free on disk", _size(held.free_bytes), "disk_free"),
        stat("Runs", formats.count(held.runs)),
        stat("Prompts", formats.count(held.prompts), note=formats.plural(held.prompt_sets, "set")),
        stat("Models", formats.count(held.models)),
    ]
    facts = [("Data folder", html.Code(held.data_dir)), ("Database", html.Code(held.database))]
    return html.Div([html.Div(numbers, className="stats"), facts_list(facts)], className="stack-2")


def _size(value: int | None) -> str:
    return formats.NONE if value is None else formats.size(value)


def _settings(found: StatusReport) -> Component:
    columns = [Column("Environment variable"), Column("Value"), Column("What it is for")]
    rows = [
        [
            html.Code(one.name),
            html.Span(
                [html.Code(one.value) if one.value else html.Span("empty", className="dim"), " ", _chip(one.default)]
            ),
            one.description,
        ]
        for one in found.settings
    ]
    note = (
        "Set in the environment of the server and the worker before they start; docs/operations.md describes each. "
        "Secrets are never shown."
    )
    table = plain_table(columns, rows, "Settings in force", "table settings-table")
    changed = formats.plural(sum(not one.default for one in found.settings), "setting")
    return html.Div(
        [
            html.P(note, className="dim"),
            html.Details([html.Summary(f"All settings ({changed} not at the default)"), table], className="more"),
        ],
        className="stack-2",
    )


def _chip(default: bool) -> Component | None:
    return None if default else html.Span("changed", className="chip")


def _software(found: StatusReport) -> Component:
    machine = found.worker.machine if found.worker else {}
    facts: list[tuple[str, Any]] = [
        ("Software", ", ".join(f"{name} {version}" for name, version in found.software.items())),
        ("Processors", formats.count(found.cpus)),
        ("Worker's threads", str(machine["threads"]) if "threads" in machine else formats.NONE),
        ("Worker's GPU", _gpus(machine)),
    ]
    return facts_list(facts)


def _gpus(machine: Mapping[str, Any]) -> str:
    if "gpus" not in machine:
        return formats.NONE
    return ", ".join(f"{gpu['name']}, {formats.size(gpu['memory_bytes'])}" for gpu in machine["gpus"]) or "none"


def _audit_log(services: Services, visit: Visit) -> Component:
    action, actor, cursor = (visit.query.get(name) for name in ("action", "actor", "cursor"))
    page = services.audit_log.page(PER_PAGE, cursor, action=action, actor=actor)
    note = html.P(
        "What must not go unseen: every attempt at stress tuning, before anything is tuned. The database itself "
        "refuses to change or delete an entry.",
        className="dim",
    )
    if not page.count and not (action or actor):
        nothing = "An entry says who did what, when, and to what. Nothing that is kept here was done so far."
        return html.Div([note, empty("No entry yet", nothing)], className="stack-2")
    columns = [Column("Time"), Column("Actor"), Column("Action"), Column("Subject"), Column("Details")]
    rows = [_entry(visit, one) for one in page.items]
    table = (
        plain_table(columns, rows, "Audit log, newest first")
        if rows
        else html.P("No entry is of this action and actor.", className="dim")
    )
    head = html.Div(
        [html.Span(formats.plural(page.count, "entry", "entries"), className="num"), _narrowed(visit), _export(visit)],
        className="spread",
    )
    older = dcc.Link("Older", href=_address(visit, cursor=page.next), className="button") if page.next else None
    newest = dcc.Link("Newest", href=_address(visit, cursor=None), className="button") if cursor else None
    return html.Div(
        [note, _choices(services, visit), head, table, html.Div([newest, older], className="row")], className="stack-2"
    )


def _choices(services: Services, visit: Visit) -> Component:
    """Pills for every action and every actor that has an entry."""
    actions, actors = services.audit_log.known()
    return html.Div(
        [
            _pills(visit, "action", {"": "Every action"} | {name: name for name in actions}, "Show entries by action"),
            _pills(visit, "actor", {"": "Every actor"} | {name: name for name in actors}, "Show entries by actor"),
        ],
        className="queue-pills",
    )


def _pills(visit: Visit, name: str, choices: Mapping[str, str], label: str) -> Component:
    chosen = visit.query.get(name, "")
    links = [
        dcc.Link(
            html.Span(text, **(aria(current="true") if key == chosen else {})),
            href=_address(visit, **{name: key or None, "cursor": None}),
            className="pill current" if key == chosen else "pill",
        )
        for key, text in choices.items()
    ]
    return html.Nav(links, className="row pills", **aria(label=label))


def _narrowed(visit: Visit) -> Component | None:
    parts = [visit.query[name] for name in ("action", "actor") if visit.query.get(name)]
    return html.Span(f"of {' by '.join(parts)}", className="dim") if parts else None


def _export(visit: Visit) -> Component:
    """The same entries as files; JSON has a page of at most 500."""
    query = {name: visit.query.get(name) for name in ("action", "actor")}
    csv = addresses.with_query(f"{EXPORT}.csv", query)
    data = addresses.with_query(EXPORT, {**query, "limit": "500"})
    return html.Div(
        [
            html.A([icon("download"), "CSV"], href=csv, download="audit-log.csv", className="button"),
            html.A([icon("download"), "JSON"], href=data, download="audit-log.json", className="button"),
        ],
        className="row",
    )


def _entry(visit: Visit, one: AuditEntry) -> list[Any]:
    return [
        html.Span(f"{one.time.astimezone():%d %b %Y %H:%M:%S}", className="num"),
        html.Span([one.actor, html.Span(f" {one.role}", className="dim small")]),
        one.action,
        html.Span(one.subject, className="wrap"),
        html.Details(
            [
                html.Summary("Show"),
                html.Div(json.dumps(one.details, ensure_ascii=False, indent=1), className="audit-details"),
            ],
            className="reveal",
        )
        if one.details
        else None,
    ]


def _address(visit: Visit, **changes: str | None) -> str:
    kept = {name: visit.query.get(name) for name in ("action", "actor", "cursor")}
    return addresses.with_query(addresses.ADMIN, {**kept, **changes})


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("admin-now", "children"),
        Output("notice", "children", allow_duplicate=True),
        Input("admin-poll", "n_intervals"),
        Input({"type": "admin-cancel", "run": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def follow(_ticks: int, clicks: list[int | None]) -> tuple[Any, Any]:
        button, note = ctx.triggered_id, no_update
        try:
            if isinstance(button, dict) and any(clicks):
                services.runs.cancel(button["run"])
            return _now(services.status.read()), note
        except ExpertScopeError as error:
            return no_update, field_error(error.message)
