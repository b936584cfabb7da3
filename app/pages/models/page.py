"""/ui/models: the models that runs can name, and the form that inspects and registers one, which New run has too."""

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses
from app.callbacks import Binder
from app.components import Column, aria, icon, plain_table
from app.components.permitted import new_run_link, permitted, reads_only
from app.components.states import empty, field_error
from app.pages.models.adapter_inspector import adapter_form
from app.pages.models.facts import model_facts, parameters
from app.router import Page, View, Visit
from backend import formats
from backend.services import ExpertScopeError, ModelInfo, Services

PER_PAGE = 100


def show(services: Services, visit: Visit) -> View:
    listing = services.models.list(limit=PER_PAGE, cursor=visit.query.get("cursor"))
    body = html.Div(
        [
            html.H1("Models"),
            html.P(
                "A model is inspected before it is registered; weights are loaded only when a run needs them.",
                className="lead",
            ),
            permitted(
                "models.register",
                html.Section([html.H2("Register a model"), register_form()], className="card stack-2"),
            )
            or reads_only("Registering a model"),
            html.Div(model_list(listing.items), id="models-list"),
            permitted(
                "adapters.inspect",
                html.Section(
                    [
                        html.H2("What does an adapter change?"),
                        html.P("Which layers and experts it touches, and whether routers move.", className="dim"),
                        adapter_form(),
                    ],
                    className="card stack-2",
                ),
            ),
        ],
        className="page stack-3",
    )
    return View("Models", body, section="models")


PAGE = Page("/models", show)


def model_list(models: list[ModelInfo]) -> Component:
    if not models:
        return empty(
            "No model yet", "Register a folder or a hub id above; it will stand here with what was found in it."
        )
    columns = [
        Column("Name"),
        Column("Family"),
        Column("MoE layers", numeric=True),
        Column("Experts", numeric=True),
        Column("Selected", numeric=True),
        Column("Shared", numeric=True),
        Column("Parameters", numeric=True),
        Column(html.Span("Actions", className="sr-only")),
    ]
    return plain_table(columns, [_row(model) for model in models], "Registered models, newest first")


def _row(model: ModelInfo) -> list[Any]:
    found = model.description
    ref = model.ref + (f"@{model.revision}" if model.revision else "")
    return [
        html.Div(
            [
                dcc.Link(model.name, href=addresses.model(model.id), className="row-link"),
                html.Span(ref, className="dim small wrap"),
            ],
            className="run-cell",
        ),
        model.family,
        _layers(found),
        formats.count(found["experts"]),
        formats.count(found["top_k"]),
        formats.count(found["shared_experts"]),
        parameters(found["parameters"]),
        new_run_link(addresses.new_run(model=model.id)),
    ]


def _layers(found: dict[str, Any]) -> str:
    dense = len(found["dense_layers"])
    return formats.count(len(found["moe_layers"])) + (f" + {dense} dense" if dense else "")


def describe(model: ModelInfo) -> str:
    """One line: family, layers, experts, selected, parameters."""
    found = model.description
    shared = f", {found['shared_experts']} shared" if found["shared_experts"] else ""
    return (
        f"{model.family} · {len(found['moe_layers'])} MoE layers of {found['experts']} experts, "
        f"{found['top_k']} selected per token{shared} · {parameters(found['parameters'])} parameters"
    )


def register_form() -> Component:
    """Fields for a reference and a revision, and below them what was found there, or why it is refused."""
    return html.Div(
        [
            html.Div(
                [
                    dmc.TextInput(
                        id="register-ref",
                        label="Folder or hub id",
                        description="A folder on the server, or an id whose files are in the server's hub cache",
                        placeholder="/models/olmoe or owner/name",
                        spellCheck=False,
                        autoComplete="off",
                    ),
                    dmc.TextInput(
                        id="register-revision",
                        label="Revision",
                        description="Commit or tag, for a hub id",
                        placeholder="main",
                        spellCheck=False,
                        autoComplete="off",
                    ),
                    html.Button("Inspect", id="inspect-model", type="button", className="button"),
                ],
                className="register-fields",
            ),
            html.Div(id="register-found", **aria(live="polite")),
            html.Button("Register", id="register-model", type="button", className="button primary start", hidden=True),
            html.Div(id="register-message", **aria(live="polite")),
            dcc.Store(id="inspected"),
        ],
        className="stack-2",
    )


def register(bind: Binder) -> None:
    """Inspect, then register. The list, and New run's choice of models, follow through their own callbacks."""
    services = bind.services

    @bind.on(
        output={
            "found": Output("register-found", "children"),
            "inspected": Output("inspected", "data"),
            "away": Output("register-model", "hidden"),
            "message": Output("register-message", "children", allow_duplicate=True),
        },
        inputs={
            "clicks": Input("inspect-model", "n_clicks"),
            "ref": State("register-ref", "value"),
            "revision": State("register-revision", "value"),
        },
        running=[
            (Output("inspect-model", "disabled"), True, False),
            (Output("inspect-model", "children"), "Inspecting…", "Inspect"),
        ],
        prevent_initial_call=True,
    )
    def inspect(clicks: int | None, ref: str | None, revision: str | None) -> dict[str, Any]:
        if not clicks:
            return {"found": "", "inspected": None, "away": True, "message": ""}
        try:
            found = services.models.inspect(ref or "", revision or None)
        except ExpertScopeError as error:
            return {"found": field_error(error.message), "inspected": None, "away": True, "message": ""}
        known = found.registered is not None
        shown = html.Div(
            [
                html.H3(found.name),
                model_facts(found.description, services.estimates.memory(found.description)),
                html.P(["Registered already: ", dcc.Link("open it", href=addresses.model(found.registered))])
                if found.registered
                else None,
            ],
            className="stack",
        )
        kept = {"ref": found.ref, "revision": found.revision}
        return {"found": shown, "inspected": kept, "away": known, "message": ""}

    @bind.on(
        Output("register-message", "children"),
        Output("register-ref", "value"),
        Output("register-model", "hidden", allow_duplicate=True),
        Input("register-model", "n_clicks"),
        State("inspected", "data"),
        running=[
            (Output("register-model", "disabled"), True, False),
            (Output("register-model", "children"), "Registering…", "Register"),
        ],
        prevent_initial_call=True,
    )
    def accept(clicks: int | None, inspected: dict[str, str | None] | None) -> tuple[Any, Any, Any]:
        if not clicks or not inspected:
            return no_update, no_update, no_update
        try:
            model = services.models.register(inspected["ref"] or "", inspected["revision"])
        except ExpertScopeError as error:
            return field_error(error.message), no_update, no_update
        told = html.P([icon("check"), f" {model.name} is registered: {describe(model)}"], className="field-ok")
        return html.Div([told, dcc.Store(id="registered", data=model.id)]), "", True

    @bind.on(Output("models-list", "children"), Input("registered", "data"), prevent_initial_call=True)
    def refresh(_model_id: str) -> Component:
        return model_list(services.models.list(limit=PER_PAGE).items)
