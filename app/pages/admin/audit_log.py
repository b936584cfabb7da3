"""What was done, by whom, from where, and whether the log of it is whole. The filter stands in the address."""

import json
from collections.abc import Mapping
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components import Column, aria, icon, plain_table
from app.components.states import empty
from app.router import Visit
from backend import formats
from backend.services import AuditEntry, Services

PER_PAGE = 25
EXPORT = "/api/v1/audit-log"


def section(services: Services, visit: Visit) -> Component:
    return html.Section([html.H2("Audit log", id="audit-log"), _entries(services, visit)], className="stack-2")


def _entries(services: Services, visit: Visit) -> Component:
    action, actor, cursor = (visit.query.get(name) for name in ("action", "actor", "cursor"))
    page = services.audit_log.page(PER_PAGE, cursor, action=action, actor=actor)
    note = html.P(
        "Sign-ins, uploads, runs, stress tuning before anything is tuned, exports, deletions and changes of roles. The "
        "database itself refuses to change or delete an entry, and each carries the hash of the one before: "
        "“expertscope audit-log verify” walks along them.",
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
        html.Span([one.actor, html.Span(f" {one.role} {one.address}".rstrip(), className="dim small")]),
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
