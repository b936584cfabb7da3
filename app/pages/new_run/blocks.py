"""The form's numbered blocks: which model, which prompts, how deep. The first, the question, is `kind`'s."""

from collections.abc import Iterable, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from app import wording
from app.components import PROMPT_FILES, aria, file_drop, info
from app.pages.models.page import register_form
from app.router import Visit
from backend import formats
from backend.services import JudgeInfo, ModelInfo, PromptSetInfo

PRESETS = ("quick", "standard", "full")
PRIORITIES = ("low", "normal", "high")


def block(number: int, title: str, children: Iterable[Any]) -> Component:
    return html.Section(
        [html.H2([html.Span(str(number), className="ordinal"), title]), *children], className="card stack-2"
    )


def model_block(models: Sequence[ModelInfo], chosen: str | None) -> Component:
    return block(
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


def prompts_block(sets: Sequence[PromptSetInfo], chosen: str | None) -> Component:
    options = [{"value": item.id, "label": f"{item.name} ({formats.plural(item.prompts, 'prompt')})"} for item in sets]
    return block(
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
                    file_drop("new-upload", *PROMPT_FILES),
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


def depth_block(preset: str | None, visit: Visit, judges: list[JudgeInfo]) -> Component:
    seed, points = visit.query.get("seed", "0"), visit.query.get("points", "")
    return block(
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
                    _whole_number(
                        "new-points",
                        "Interval wanted, ± points ",
                        "resolution",
                        points,
                        "",
                        1,
                        placeholder="any",
                        max=49,
                        w=200,
                    ),
                    _whole_number("new-seed", "Seed ", "seed", seed, 0, 0, w=140),
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


def _whole_number(
    name: str, label: str, quantity: str, asked: str, otherwise: int | str, least: int, **more: Any
) -> Component:
    """A field for a number from `least` on: what the address asks for, or `otherwise`."""
    field: Component = dmc.NumberInput(
        id=name,
        label=html.Span([label, info(quantity)]),
        value=int(asked) if asked.isdecimal() else otherwise,
        min=least,
        allowDecimal=False,
        allowNegative=False,
        **more,
    )
    return field


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


def start_button() -> Component:
    return html.Div(
        [
            html.Button("Start", id="new-start", type="button", className="button primary wide", disabled=True),
            html.Div(id="new-start-message", **aria(live="polite")),
        ],
        className="stack",
    )
