"""/ui/runs/new: what is asked, of which model, with which prompts, how deep; what it amounts to at the right; Start.

A dropped file is checked as a whole and shown before anything is stored; Start stores it and queues the run.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses, wording
from app.callbacks import Binder
from app.components import aria, icon, info
from app.components.permitted import reads_only_page
from app.components.states import field_error
from app.pages.models.page import describe, register_form
from app.pages.new_run import kind as new_run_kind
from app.pages.new_run.summary import Asked, costs, summary
from app.pages.prompt_sets.preview import Chosen, check_file, decode, stored_preview
from app.router import Page, View, Visit
from backend import formats
from backend.services import (
    Ask,
    Cost,
    Estimate,
    ExpertScopeError,
    JudgeInfo,
    ModelInfo,
    NewRun,
    PromptSetInfo,
    Services,
    may,
)

CHOICES = 200
PRESETS = ("quick", "standard", "full")
PRIORITIES = ("low", "normal", "high")
FORM = ("model", "prompts", "preset", "seed", "kind", "experts", *new_run_kind.FIELDS)
HALF = 50
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
                            _block(
                                1,
                                "Question",
                                [
                                    new_run_kind.kind_choice(kind),
                                    own,
                                ],
                            ),
                            _model_block(models, model),
                            _prompts_block(sets, chosen),
                            _depth_block(preset, visit, services.judges.list()),
                        ],
                        className="stack-3",
                    ),
                    html.Aside(
                        [html.H2("Summary"), html.Div(id="new-summary"), _start()],
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


def _block(number: int, title: str, children: Iterable[Any]) -> Component:
    return html.Section(
        [html.H2([html.Span(str(number), className="ordinal"), title]), *children], className="card stack-2"
    )


def _model_block(models: Sequence[ModelInfo], chosen: str | None) -> Component:
    return _block(
        2,
        "Model",
        [
            dmc.Select(
                id="new-model",
                label="Registered models",
                data=model_options(models),
                value=chosen,
                allowDeselect=False,
                searchable=True,
                placeholder="None yet: register one below",
                nothingFoundMessage="No such model",
            ),
            html.Div(id="new-model-note", className="dim"),
            html.Details([html.Summary("Register another model"), register_form()], className="more", open=not models),
        ],
    )


def model_options(models: Sequence[ModelInfo]) -> list[dict[str, str]]:
    return [{"value": model.id, "label": f"{model.name} ({model.family})"} for model in models]


def _prompts_block(sets: Sequence[PromptSetInfo], chosen: str | None) -> Component:
    options = [{"value": item.id, "label": f"{item.name} ({formats.plural(item.prompts, 'prompt')})"} for item in sets]
    return _block(
        3,
        "Prompts",
        [
            dmc.Select(
                id="new-prompts",
                label="Stored sets",
                data=options,
                value=chosen,
                clearable=True,
                searchable=True,
                placeholder="None chosen",
                nothingFoundMessage="No such set",
                clearButtonProps={"aria-label": "Choose no stored set"},
            ),
            html.Div(
                [
                    html.Span("or a file", className="field-label", id="new-upload-label"),
                    dcc.Upload(
                        html.Button(
                            [icon("upload"), "Drop a CSV, JSONL, JSON or text file, or choose one"],
                            type="button",
                            className="drop-button",
                        ),
                        id="new-upload",
                        className="drop",
                        className_active="drop drop-active",
                        accept=".csv,.tsv,.jsonl,.json,.txt",
                        max_size=-1,
                        multiple=False,
                    ),
                    html.P(
                        [
                            "Columns: ",
                            html.Code("prompt"),
                            ", and where you have them ",
                            html.Code("label"),
                            " (harmful or benign), ",
                            html.Code("topic"),
                            ", ",
                            html.Code("pair_id"),
                            ", ",
                            html.Code("group"),
                            " (regular or jailbreak).",
                        ],
                        className="dim small",
                    ),
                ],
                className="stack",
            ),
            html.Div(id="new-faults", **aria(live="polite")),
            html.Div(id="new-preview"),
        ],
    )


def _judge_options(judges: list[JudgeInfo]) -> list[dict[str, str]]:
    named = {"rules": "Rules (no model, no network)"}
    return [
        {"value": one.name, "label": named.get(one.name, one.name if one.local else f"{one.name} (sends answers)")}
        for one in judges
    ]


def _depth_block(preset: str | None, visit: Visit, judges: list[JudgeInfo]) -> Component:
    seed, points = visit.query.get("seed", "0"), visit.query.get("points", "")
    return _block(
        4,
        "Depth",
        [
            dmc.RadioGroup(
                html.Div([_preset(name) for name in PRESETS], className="presets"),
                id="new-preset",
                value=preset,
                label=html.Span(["Preset ", info("preset")]),
            ),
            html.Div(
                [
                    dmc.NumberInput(
                        id="new-points",
                        label=html.Span(["Interval wanted, ± points ", info("resolution")]),
                        value=int(points) if points.isdecimal() else "",
                        placeholder="any",
                        min=1,
                        max=49,
                        allowDecimal=False,
                        allowNegative=False,
                        w=200,
                    ),
                    dmc.NumberInput(
                        id="new-seed",
                        label=html.Span(["Seed ", info("seed")]),
                        value=int(seed) if seed.isdecimal() else 0,
                        min=0,
                        allowDecimal=False,
                        allowNegative=False,
                        w=140,
                    ),
                    dmc.Select(
                        id="new-priority",
                        label="Priority",
                        value="normal",
                        allowDeselect=False,
                        w=140,
                        data=[{"value": name, "label": name.capitalize()} for name in PRIORITIES],
                    ),
                    dmc.Select(
                        id="new-judge",
                        label=html.Span(["Judge ", info("judge")]),
                        value="rules",
                        allowDeselect=False,
                        w=260,
                        data=_judge_options(judges),
                    ),
                    dmc.Select(
                        id="new-second",
                        label=html.Span(["Second judge ", info("second_judge")]),
                        placeholder="none",
                        clearable=True,
                        w=260,
                        data=_judge_options(judges),
                        className="for-audit",
                    ),
                ],
                className="row row-wide top",
            ),
        ],
    )


def _preset(name: str) -> Component:
    """A card: what the preset does, and below what it would take."""
    return html.Div(
        [
            dmc.Radio(
                iconColor="var(--on-accent)",
                value=name,
                label=name.capitalize(),
                description=wording.PRESETS[name],
            ),
            html.P(id=f"new-cost-{name}", className="cost"),
        ],
        className="preset",
    )


def _start() -> Component:
    return html.Div(
        [
            html.Button("Start", id="new-start", type="button", className="button primary wide", disabled=True),
            html.Div(id="new-start-message", **aria(live="polite")),
        ],
        className="stack",
    )


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
        asked, found = _asked(services, form, staged)
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


def _asked(services: Services, form: dict[str, Any], staged: Any) -> tuple[Asked, dict[str, Cost]]:
    """The form with its estimate and what stops it, and what every preset would take."""
    kind, preset = form["kind"] or "audit", form["preset"] or "standard"
    model = services.models.get(form["model"]) if form["model"] else None
    stops = [] if model else ["Choose or register a model."]
    ask = _ask(services, model, form, staged) if model and (staged or form["prompts"]) else None
    if not (staged or form["prompts"]):
        stops.append("Choose a prompt set, or drop a file.")
    estimate: Estimate | None = None
    found: dict[str, Cost] = {}
    if ask is not None:
        estimate = services.estimates.ask(ask)
        found = {name: services.estimates.cost(replace(ask, preset=name)) for name in PRESETS}
        stops += [*estimate.stops, *_refusals(services, form, ask)]
    chosen = Chosen.of(staged) if staged else None
    if chosen is None and ask is not None:
        chosen = Chosen("", ask.balance, ask.chars)
    return Asked(kind, preset, form["seed"], form["experts"], model, chosen, estimate, stops), found


def _ask(services: Services, model: ModelInfo, form: dict[str, Any], staged: Any) -> Ask:
    kind: Any = form["kind"] or "audit"
    points = form["points"]
    half_width = points / 100 if isinstance(points, int | float) and 0 < points < HALF else None
    preset = form["preset"] or "standard"
    own = {name: value for name, value in _own(form).items() if name != "experts"}
    if not staged:
        return services.estimates.stored(model, form["prompts"], kind, preset, None, own, half_width)
    chosen = Chosen.of(staged)
    return Ask(model, chosen.balance, chosen.chars, kind, preset, None, own, half_width)


def _own(form: dict[str, Any]) -> dict[str, Any]:
    """The kind's own parameters; without experts as long as they cannot be read."""
    try:
        return new_run_kind.parameters(form["kind"] or "audit", form)
    except ExpertScopeError:
        return {}


def _refusals(services: Services, form: dict[str, Any], ask: Ask) -> list[str]:
    """Why the run would be refused if it were started now, in the words that it would be refused with."""
    if not isinstance(form["seed"], int):
        return ["The seed is no whole number from 0 on."]
    try:
        services.runs.check(_request({"judge": "rules", "second": None, **form}), ask.balance)
    except ExpertScopeError as error:
        return [error.message]
    return []


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
            request = _request(form)
            if staged:
                stored = services.prompt_sets.create(decode(file["contents"]), file["filename"])
                request = replace(request, prompt_set_id=stored.id)
            run = services.runs.create(_from_source(services, request, source), key)
        except ExpertScopeError as error:
            by_field = [error.message if error.field == name else None for name in ("seed", "experts")]
            return ["" if any(by_field) else field_error(error.message), *by_field, no_update]
        return ["", None, None, addresses.run(run.id)]


def _from_source(services: Services, request: NewRun, source: str | None) -> NewRun:
    """The same request by the run that the experts come from, as long as they are still that run's."""
    if not source or "experts" not in request.parameters:
        return request
    try:
        named = services.runs.named_experts(source)
    except ExpertScopeError:
        return request
    if request.parameters["experts"] != named:
        return request
    own = {name: value for name, value in request.parameters.items() if name != "experts"}
    return replace(request, parameters={**own, "experts_from": source})


def _request(form: dict[str, Any]) -> NewRun:
    """The form as a request; the service checks every value. Raises InputError for experts that cannot be read."""
    kind: Any = form["kind"] or "audit"
    return NewRun(
        kind=kind,
        parameters=new_run_kind.parameters(kind, form),
        model=form["model"] or "",
        prompt_set_id=form["prompts"] or "",
        preset=form["preset"],
        seed=form["seed"],
        judge=form["judge"],
        priority=form.get("priority") or "normal",
        second_judge=(form["second"] or None) if kind == "audit" else None,
    )
