"""/ui/runs/new: what is asked, of which model, with which prompts, how deep; what it amounts to at the right; Start.

A dropped file is checked as a whole and shown before anything is stored; Start stores it and queues the run.
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dash import Input, Output, State, ctx, dcc, html, no_update

from app import addresses
from app.callbacks import Binder
from app.components import aria
from app.components.permitted import reads_only_page
from app.components.states import field_error
from app.pages.models.page import describe
from app.pages.new_run import kind as new_run_kind
from app.pages.new_run.blocks import (
    PRESETS,
    block,
    depth_block,
    model_block,
    model_options,
    prompts_block,
    start_button,
)
from app.pages.new_run.request import asked_of, from_source, request_of
from app.pages.new_run.summary import costs, summary
from app.pages.prompt_sets.preview import check_file, decode, stored_preview
from app.router import Page, View, Visit
from backend.services import (
    ExpertScopeError,
    Services,
    may,
)

CHOICES = 200
FORM = ("model", "prompts", "preset", "seed", "kind", "experts", *new_run_kind.FIELDS)
LONG = 3_600
"""Seconds above which the quick preset is offered first."""


def show(services: Services, visit: Visit) -> View:
    if not may("runs.write"):
        back = dcc.Link("Runs", href=addresses.RUNS, className="button")
        return View("New run", reads_only_page("New run", "Starting a run", back))
    models, sets = services.models.list(limit=CHOICES).items, services.prompt_sets.list(limit=CHOICES).items
    last = next(iter(services.runs.list(limit=1).items), None)  # what was asked last time is offered again
    model = _first([visit.query.get("model"), last.model.id if last else None], [item.id for item in models])
    chosen = _first([visit.query.get("prompts"), last.prompt_set.id if last else None], [item.id for item in sets])
    kind = new_run_kind.kind_of(visit)
    preset = _first([visit.query.get("preset"), _fitting(services, model, chosen, kind)], PRESETS)
    own = new_run_kind.own_fields(kind, visit, stress=services.settings.allow_stress_tuning)
    body = html.Div(
        [
            html.Nav(
                html.Ol([html.Li(dcc.Link("Runs", href=addresses.RUNS)), html.Li("New run")]),
                className="breadcrumbs",
                **aria(label="Breadcrumbs"),
            ),
            html.Div(html.H1("New run"), className="page-head"),
            html.Div(
                [
                    html.Div(
                        [
                            block(
                                1,
                                "Question",
                                [
                                    new_run_kind.kind_choice(kind),
                                    own,
                                ],
                            ),
                            model_block(models, model),
                            prompts_block(sets, chosen),
                            depth_block(preset, visit, services.judges.list()),
                        ],
                        className="stack-3",
                    ),
                    html.Aside(
                        [html.H2("Summary"), html.Div(id="new-summary"), start_button()],
                        className="summary",
                        **aria(label="Summary"),
                    ),
                ],
                className="new-run",
            ),
            dcc.Store(id="new-key", data=uuid.uuid4().hex),
            dcc.Store(id="new-file"),
            dcc.Store(id="new-address"),
        ],
        className="page",
    )
    return View("New run", body)


PAGE = Page("/runs/new", show)


def _fitting(services: Services, model: str | None, chosen: str | None, kind: Any) -> str:
    """The preset that is offered first: standard, unless that would take more than an hour."""
    if not model or not chosen:
        return "standard"
    ask = services.estimates.stored(services.models.get(model), chosen, kind)
    seconds = services.estimates.cost(ask).seconds
    return "quick" if seconds is not None and seconds > LONG else "standard"


def _first(wanted: Sequence[str | None], known: Sequence[str]) -> str | None:
    """The first wish that can be met, else the first that there is."""
    return next((wish for wish in (*wanted, *known) if wish in known), None)


def register(bind: Binder) -> None:
    _register_choices(bind)
    _register_start(bind)
    remembered = ("model", "prompts", "preset", "seed", "kind", "experts", *new_run_kind.FIELDS, "points")
    inputs = [Input(f"new-{name}", "value") for name in remembered]
    bind.in_browser("rememberNewRun", Output("new-address", "data"), *inputs, prevent_initial_call=True)
    bind.in_browser("showOwn", Output("new-own", "className"), Input("new-kind", "value"), prevent_initial_call=True)


def _register_choices(bind: Binder) -> None:
    """What is chosen shows what it holds, and the summary follows."""
    services = bind.services

    @bind.on(
        Output("new-preview", "children"),
        Output("new-faults", "children"),
        Output("new-file", "data"),
        Output("new-prompts", "value"),
        Output("new-upload", "contents"),
        Input("new-prompts", "value"),
        Input("new-upload", "contents"),
        State("new-upload", "filename"),
        State("new-file", "data"),
    )
    def choose(set_id: str | None, contents: str | None, filename: str | None, staged: Any) -> tuple[Any, ...]:
        if ctx.triggered_id == "new-upload" and contents:
            dropped = check_file(services, contents, filename or "upload")
            return dropped.preview, dropped.faults, dropped.chosen, None, no_update
        if set_id:
            return stored_preview(services, set_id), None, None, no_update, None
        return (no_update if staged else None), no_update, no_update, no_update, no_update

    @bind.on(
        output={
            "note": Output("new-model-note", "children"),
            "summary": Output("new-summary", "children"),
            "rests": Output("new-start", "disabled"),
            "costs": [Output(f"new-cost-{name}", "children") for name in PRESETS],
        },
        inputs={
            "form": {name: Input(f"new-{name}", "value") for name in (*FORM, "points")},
            "staged": Input("new-file", "data"),
        },
    )
    def summarise(form: dict[str, Any], staged: Any) -> dict[str, Any]:
        asked, found = asked_of(services, form, staged)
        return {
            "note": describe(asked.model) if asked.model else "",
            "summary": summary(asked),
            "rests": bool(asked.stops),
            "costs": costs(found, PRESETS),
        }

    @bind.on(
        Output("new-model", "data"),
        Output("new-model", "value"),
        Input("registered", "data"),
        prevent_initial_call=True,
    )
    def offer(model_id: str) -> tuple[Any, Any]:
        return model_options(services.models.list(limit=CHOICES).items), model_id


def _register_start(bind: Binder) -> None:
    """Store the dropped file, if there is one, queue the run and go to it."""
    services = bind.services
    fields = (*FORM, "second", "judge", "priority")

    @bind.on(
        output=[
            Output("new-start-message", "children"),
            Output("new-seed", "error"),
            Output("new-experts", "error"),
            Output("address", "href"),
        ],
        inputs={
            "clicks": Input("new-start", "n_clicks"),
            "form": {name: State(f"new-{name}", "value") for name in fields},
            "source": State("new-experts-from", "data"),
            "file": {name: State("new-upload", name) for name in ("contents", "filename")},
            "staged": State("new-file", "data"),
            "key": State("new-key", "data"),
        },
        running=[
            (Output("new-start", "disabled"), True, False),
            (Output("new-start", "children"), "Starting…", "Start"),
        ],
        prevent_initial_call=True,
    )
    def start(
        clicks: int | None, form: dict[str, Any], source: str | None, file: dict[str, str], staged: Any, key: str
    ) -> list[Any]:
        if not clicks:
            return [no_update] * 4
        if not isinstance(form["seed"], int):
            return ["", "Expected a whole number from 0 on", None, no_update]
        try:
            request = request_of(form)
            if staged:
                stored = services.prompt_sets.create(decode(file["contents"]), file["filename"])
                request = replace(request, prompt_set_id=stored.id)
            run = services.runs.create(from_source(services, request, source), key)
        except ExpertScopeError as error:
            by_field = [error.message if error.field == name else None for name in ("seed", "experts")]
            return ["" if any(by_field) else field_error(error.message), *by_field, no_update]
        return ["", None, None, addresses.run(run.id)]
