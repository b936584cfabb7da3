"""What every page of a run has around it: breadcrumbs, actions, tabs; and what a run shows before it has a result."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses, wording
from app.callbacks import Binder
from app.components import aria, certificate_badge, dataset, icon, status
from app.components.permitted import new_run_link
from app.components.states import field_error
from app.router import View, Visit
from app.selection import Selection
from backend import formats
from backend.services import ENDED, ExpertScopeError, RunInfo, Services, may
from backend.services.documents import NAMES
from backend.services.progress import STAGE_WEIGHTS

TABS = {
    "": "Overview",
    "routing": "Routing",
    "topics": "Topics",
    "experts": "Experts",
    "tokens": "Tokens",
    "interventions": "Interventions",
    "report": "Report",
}

NOTHING = Selection()
ACTIONS: Mapping[str, Callable[[Services, str], object]] = {
    "cancel": lambda services, run_id: services.runs.cancel(run_id),
    "resume": lambda services, run_id: services.runs.resume(run_id),
    "delete": lambda services, run_id: services.storage.delete(run_id),
}
VERSION = version("expertscope")


@dataclass(frozen=True)
class Finished:
    """An audit that is done. `report` is its report without the list of experts, of whom there are `experts_count`;
    `flagged` are the flagged ones' rows, best first."""

    run: RunInfo
    report: Mapping[str, Any]
    experts_count: int
    flagged: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Documented:
    """A run of another kind that is done, and its document."""

    run: RunInfo
    document: Mapping[str, Any]


def run_view(
    services: Services, visit: Visit, tab: str, build: Callable[[Finished], Component], crumb: str | None = None
) -> View:
    """A tab of a run. Until the run has a result every tab shows how far it is instead.

    `crumb` names a page below the tab, such as one expert.
    """
    run = services.runs.get(visit.params["run_id"])
    title = f"{crumb or TABS[tab]} · {run.name}"
    if run.kind == "audit" and run.status != "done":
        return View(title, html.Div([_top(run, tab, None, crumb), progress_box(services, run)], className="page"))
    report, experts = services.results.summary(run.id), services.results.expert_table(run.id)
    body = build(Finished(run, report, len(experts), experts.flagged()))
    selected = Selection.of(visit.query)
    return View(title, html.Div([_top(run, tab, report, crumb, selected), body], className="page"))


def document_view(services: Services, visit: Visit, build: Callable[[Documented], Component]) -> View:
    """The one page of a run that is no audit, or how far the run is until it has a result."""
    run = services.runs.get(visit.params["run_id"])
    title = f"{wording.KINDS[run.kind][0]} · {run.name}"
    if run.status != "done":
        return View(title, html.Div([_top(run, "", None, None), progress_box(services, run)], className="page"))
    document = services.documents.get(run.id)
    body = build(Documented(run, document))
    return View(title, html.Div([_top(run, "", document, None), body], className="page"))


def _top(
    run: RunInfo,
    tab: str,
    report: Mapping[str, Any] | None,
    crumb: str | None,
    selected: Selection = NOTHING,
) -> Component:
    views = html.Nav(
        [_tab(run, key, name, key == tab, selected) for key, name in TABS.items()] if report else None,
        className="run-tabs",
        **aria(label="Views of this run"),
    )
    top = html.Div([_breadcrumbs(run, tab, crumb), _actions(run, report)], className="run-top")
    audit = [views, _selection_bar(run)] if run.kind == "audit" else [html.Div(className="run-rule")]
    return html.Div([top, *audit, html.Div(id="provenance", hidden=True, **dataset(text=_origin(run)))])


def _selection_bar(run: RunInfo) -> Component:
    """What is selected in this run. static/js/selection.js fills it from the address."""
    own = dataset(model=run.model.id, prompts=run.prompt_set.id)
    bar: Component = html.Div(
        id="selection-bar", className="selection-bar", hidden=True, role="region", **own, **aria(label="Selection")
    )
    return bar


def _origin(run: RunInfo) -> str:
    """The line below a figure that was saved: what it is of."""
    when = formats.moment(run.finished or run.created)
    return f"ExpertScope {VERSION} · {run.model.name} on {run.prompt_set.name} · seed {run.seed} · run {run.id}, {when}"


def _breadcrumbs(run: RunInfo, tab: str, crumb: str | None) -> Component:
    trail: list[Component | str] = [dcc.Link("Runs", href=addresses.RUNS)]
    trail.append(dcc.Link(run.name, href=addresses.run(run.id)) if tab else run.name)
    if crumb:
        trail.append(dcc.Link(TABS[tab], href=addresses.run(run.id, tab)))
    if tab:
        trail.append(crumb or TABS[tab])
    return html.Nav(html.Ol([html.Li(step) for step in trail]), className="breadcrumbs", **aria(label="Breadcrumbs"))


def _actions(run: RunInfo, report: Mapping[str, Any] | None) -> Component:
    buttons: list[Component] = []
    if report and report["certificate"]:
        buttons.append(certificate_badge(report["certificate"], addresses.download(run.id, "certificate.json")))
    buttons.append(
        html.Button([icon("link"), html.Span("Copy link")], id="copy-link", type="button", className="button quiet")
    )
    if report and run.kind == "audit":
        buttons.append(dcc.Link("Compare", href=addresses.compare(run.id), className="button"))
        buttons.append(dcc.Link([icon("download"), "Report"], href=addresses.run(run.id, "report"), className="button"))
    elif report:
        buttons.append(_saved(run, NAMES[run.kind]))
    if run.status in ENDED and may("runs.write"):
        buttons.append(_delete(run))
    return html.Div(buttons, className="row push")


def _delete(run: RunInfo) -> Component:
    """A button that asks once more. static/js/dialogs.js opens and closes the dialog."""
    return html.Div(
        [
            html.Button("Delete", type="button", className="button quiet", **dataset(dialog="run-delete")),
            html.Dialog(
                [
                    html.H2("Delete this run?", id="run-delete-title"),
                    html.P([html.Strong(run.name), " goes for good: its results, answers, labels, files and shards."]),
                    html.P(
                        "Its model and prompt set stay, and so do other runs, also those that took experts from it. "
                        "An archive, downloaded before, brings it back.",
                        className="dim",
                    ),
                    html.Div(
                        [
                            html.Button("Keep it", type="button", className="button", **dataset(close="true")),
                            _button("delete", run.id, "Delete for good", look="button destructive"),
                        ],
                        className="row push",
                    ),
                ],
                id="run-delete",
                className="dialog",
                **aria(labelledby="run-delete-title"),
            ),
        ]
    )


def _saved(run: RunInfo, name: str) -> Component:
    """A link that saves the run's own document."""
    href = addresses.download(run.id, name, download="true")
    return html.A([icon("download"), name], href=href, download=f"{run.id}-{name}", className="button")


def _tab(run: RunInfo, key: str, name: str, current: bool, selected: Selection) -> Component:
    return dcc.Link(
        html.Span(name, **(aria(current="page") if current else {})),
        href=addresses.run(run.id, key, **selected.query()),
        className="run-tab current" if current else "run-tab",
    )


def progress_box(services: Services, run: RunInfo) -> Component:
    """How far a run is, with what can be done about it; polls once a second while the run goes on."""
    return html.Div(
        [
            html.Div(
                progress(services, run),
                id="run-progress",
                className="progress-box",
                **({} if run.status in ENDED else dataset(watch=run.id)),
            ),
            dcc.Interval(id="run-poll", interval=1000, disabled=run.status in ENDED),
            dcc.Store(id="run-polled", data=run.id),
        ]
    )


def progress(services: Services, run: RunInfo) -> list[Component | None]:
    """Heading, bar and buttons for a run without a result."""
    if run.status in ("failed", "cancelled"):
        return _stopped(run)
    return [
        html.H1(_stage(services, run)),
        html.P(_asked(run), className="lead"),
        *_troubles(run),
        _bar(run),
        _stages(run),
        html.Div(
            [
                status(run.status),
                _button("cancel", run.id, "Stopping…" if run.cancel_requested else "Cancel", run.cancel_requested)
                if may("runs.write")
                else None,
                html.Button("Tell me when it ends", id="notify-me", type="button", className="button quiet"),
            ],
            className="row row-wide",
        ),
        html.P("The page follows by itself; closing it does not stop the run.", className="dim small"),
    ]


def _stage(services: Services, run: RunInfo) -> str:
    if run.retry:
        return "Waiting to try again"
    if run.status == "queued":
        return "Waiting for the worker" if services.workers.alive() else "Waiting: no worker is running"
    return wording.stage(run.kind, run.progress.stage) if run.progress else "Starting"


def _troubles(run: RunInfo) -> list[Component]:
    """What the run waits for, and what it had to give up."""
    lines = []
    if run.retry:
        left = max(0, math.ceil((run.retry.at - datetime.now(UTC)).total_seconds()))
        lines.append(f"Waiting {left} s, attempt {run.retry.attempt} of {run.retry.of}, because {run.retry.reason}.")
    if run.batch_tokens:
        lines.append(f"Memory ran out: at most {formats.count(run.batch_tokens)} tokens go through the model at once.")
    return [html.P([icon("warn"), " ", line], className="dim", role="status") for line in lines]


def _asked(run: RunInfo) -> str:
    prompts = formats.plural(run.prompt_set.prompts, "prompt")
    asked = f"{run.model.name} on {prompts} of {run.prompt_set.name}, {run.preset} preset, seed {run.seed}"
    named = ", ".join(formats.place(layer, expert) for layer, expert in run.parameters.get("experts", []))
    what = f"{wording.KINDS[run.kind][0]} of {named}" if named else wording.KINDS[run.kind][0]
    return asked if run.kind == "audit" else f"{what}: {asked}"


def _bar(run: RunInfo) -> Component:
    """The current stage's bar: one shard is one step. Without a number yet it shows an empty track."""
    known = run.progress if run.status == "running" else None
    share = 100 * known.done / known.total if known and known.total else 0
    left = f"{known.done} of {known.total} parts" if known and known.total else "not started"
    rest = f"about {formats.seconds(known.eta_seconds)} left" if known and known.eta_seconds is not None else ""
    return html.Div(
        [
            dmc.Progress(value=share, size="md", color="ink", transitionDuration=300, **aria(label="Progress")),
            html.Div([html.Span(left), html.Span(rest)], className="spread dim small num"),
        ],
        className="stack progress-bar",
    )


def _stages(run: RunInfo) -> Component:
    """The way from loading to report, with the stage that the run is at."""
    names = [*STAGE_WEIGHTS[run.kind]]
    at = names.index(run.progress.stage) if run.progress and run.progress.stage in names else -1
    steps = [
        html.Li(
            [icon("check" if place < at else "ring" if place == at else "dot"), wording.stage(run.kind, name)],
            className="passed" if place < at else "now" if place == at else None,
            **(aria(current="step") if place == at else {}),
        )
        for place, name in enumerate(names)
    ]
    return html.Ol(steps, className="stages")


def _stopped(run: RunInfo) -> list[Component | None]:
    failed = run.status == "failed"
    why = run.error or ("It stopped without a reason." if failed else "Somebody stopped it before it was finished.")
    return [
        html.H1("This run failed" if failed else "This run was cancelled"),
        html.P([icon("warn"), " ", why], className="lead danger") if failed else html.P(why, className="lead"),
        html.P("What it has finished is kept: resuming goes on from there.", className="dim"),
        html.Div(
            [
                _button("resume", run.id, "Resume", look="button primary"),
                new_run_link(_again(run)),
            ],
            className="row",
        )
        if may("runs.write")
        else None,
    ]


def _again(run: RunInfo) -> str:
    """The form, filled with what this run was asked for."""
    asked = {name: value for name, value in run.parameters.items() if isinstance(value, str)}
    experts = addresses.places(run.parameters.get("experts", ()))
    kind = None if run.kind == "audit" else run.kind
    return addresses.new_run(run.model.id, run.prompt_set.id, kind=kind, experts=experts, **asked)


def _button(action: str, run_id: str, label: str, disabled: bool = False, look: str = "button") -> Component:
    return html.Button(
        label,
        id={"type": "act", "action": action, "run": run_id},
        type="button",
        disabled=disabled,
        className=look,
    )


def register(bind: Binder) -> None:
    """Polling, cancel, resume and delete. A run that has ended shows the whole page anew."""
    services = bind.services

    @bind.on(
        Output("run-progress", "children"),
        Output("page-reload", "data", allow_duplicate=True),
        Input("run-poll", "n_intervals"),
        State("run-polled", "data"),
        prevent_initial_call=True,
    )
    def follow(ticks: int, run_id: str) -> tuple[Any, Any]:
        try:
            run = services.runs.get(run_id)
        except ExpertScopeError:  # it was deleted, which its page says
            return no_update, f"{run_id} gone {ticks}"
        return (
            (no_update, f"{run.id} {run.status} {ticks}")
            if run.status in ENDED
            else (progress(services, run), no_update)
        )

    @bind.on(
        Output("notice", "children", allow_duplicate=True),
        Output("page-reload", "data", allow_duplicate=True),
        Output("address", "href", allow_duplicate=True),
        Input({"type": "act", "action": ALL, "run": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def act(clicks: list[int | None]) -> tuple[Any, Any, Any]:
        button = ctx.triggered_id
        if not any(clicks) or not button:
            return no_update, no_update, no_update
        action, run_id = button["action"], button["run"]
        try:
            ACTIONS[action](services, run_id)
        except ExpertScopeError as error:
            return field_error(error.message), no_update, no_update
        if action == "delete":
            return "The run is deleted.", no_update, addresses.RUNS
        return "", f"{run_id} {action} {time.monotonic()}", no_update
