"""/ui/admin: whether the installation works, what waits, what is stored, which settings are in force, what was done.

Health and queue follow by themselves.
"""

from collections.abc import Mapping
from typing import Any

from dash import ALL, Input, Output, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses
from app.callbacks import Binder
from app.components import Column, aria, icon, info, plain_table, stat
from app.components.states import field_error
from app.pages.admin import accounts, audit_log
from app.pages.run.report import facts_list
from app.pages.runs.listing import live_cell
from app.router import Page, View, Visit
from backend import formats
from backend.services import ExpertScopeError, RunInfo, Services, StatusReport, WorkerInfo


def show(services: Services, visit: Visit) -> View:
    found = services.status.read()
    body = html.Div(
        [
            html.Div(_now(found), id="admin-now", className="stack-3"),
            dcc.Interval(id="admin-poll", interval=5000),
            accounts.section(services),
            html.Section([html.H2("Storage"), _storage(found)], className="stack-2"),
            audit_log.section(services, visit),
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
        return [("Worker", [icon("cross"), " none is running"])]
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
