"""/ui/models/{id}: what a registered model is made of, and the runs on it."""

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components import aria
from app.components.permitted import new_run_link
from app.pages.models.facts import model_facts
from app.pages.models.runs_of import runs_section
from app.router import Page, View, Visit
from backend.services import ModelInfo, Services

MOST_RUNS = 20


def show(services: Services, visit: Visit) -> View:
    model = services.models.get(visit.params["model_id"])
    runs = services.runs.list(model=model.id, limit=MOST_RUNS)
    new = addresses.new_run(model=model.id)
    body = html.Div(
        [
            html.Nav(
                html.Ol([html.Li(dcc.Link("Models", href=addresses.MODELS)), html.Li(model.name)]),
                className="breadcrumbs",
                **aria(label="Breadcrumbs"),
            ),
            html.Div(
                [html.H1(model.name), new_run_link(new, look="button primary")],
                className="spread",
            ),
            _reference(model),
            html.Section(
                [
                    html.H2("What it is made of"),
                    model_facts(model.description, services.estimates.memory(model.description)),
                ],
                className="stack",
            ),
            runs_section(runs.items, runs.count, "Runs on this model", "No run on this model yet.", new),
        ],
        className="page stack-3",
    )
    return View(model.name, body, section="models")


PAGE = Page("/models/{model_id}", show)


def _reference(model: ModelInfo) -> Component:
    return html.P(html.Code(model.ref + (f"@{model.revision}" if model.revision else "")), className="dim small wrap")
