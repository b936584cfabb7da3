"""The playground's form: a prompt with its counter, the model, the judge, the longest answer, and Ask."""

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from app.components import aria, info
from app.router import Visit
from backend import formats
from backend.services import JudgeInfo, ModelInfo, Services

RECENT = 10
LENGTHS = (32, 64, 128, 256)


def preferred(services: Services, visit: Visit, models: list[ModelInfo]) -> str:
    """The model that the address names, else that of the question it shows, of the last one, or of the last run."""
    known = {one.id for one in models}
    asked = services.playground.list(limit=RECENT).items
    shown = [one.model.id for one in asked if one.id == visit.query.get("q")]
    ran = [run.model.id for run in services.runs.list(limit=1).items]
    wanted = [visit.query.get("model"), *shown, *(one.model.id for one in asked[:1]), *ran, models[0].id]
    return next(one for one in wanted if one in known)


def form(services: Services, models: list[ModelInfo], model: str) -> Component:
    longest = services.playground.longest_prompt
    return html.Div(
        [
            dmc.Textarea(
                id="playground-prompt",
                label="Prompt",
                description="The model answers on this server. Texts leave it only for a judge that says so.",
                placeholder="What should the model answer?",
                autosize=True,
                minRows=3,
                maxRows=14,
            ),
            html.Div(
                [
                    html.Span(
                        f"0 of {formats.count(longest)} characters", id="playground-count", className="dim small num"
                    ),
                    html.Span([html.Kbd("Ctrl"), " ", html.Kbd("Enter"), " asks"], className="dim small push"),
                ],
                className="row",
            ),
            html.Div(
                [
                    dmc.Select(
                        id="playground-model",
                        label="Model",
                        data=[{"value": one.id, "label": f"{one.name} ({one.family})"} for one in models],
                        value=model,
                        allowDeselect=False,
                        searchable=True,
                        w=260,
                    ),
                    dmc.Select(
                        id="playground-judge",
                        label=html.Span(["Judge ", info("judge")]),
                        data=_judges(services.judges.list()),
                        value="rules",
                        allowDeselect=False,
                        w=280,
                    ),
                    dmc.Select(
                        id="playground-length",
                        label="Longest answer",
                        data=[{"value": str(size), "label": f"{size} tokens"} for size in LENGTHS],
                        value="64",
                        allowDeselect=False,
                        w=140,
                    ),
                    html.Button("Ask", id="playground-ask", type="button", className="button primary", disabled=True),
                ],
                className="row row-wide playground-choices",
            ),
            html.Div(id="playground-message", **aria(live="polite")),
        ],
        className="card stack",
    )


def _judges(judges: list[JudgeInfo]) -> list[dict[str, str]]:
    named = {"rules": "Rules (no model, no network)"}
    return [
        {"value": one.name, "label": named.get(one.name, one.name if one.local else f"{one.name} (sends answers)")}
        for one in judges
    ]
