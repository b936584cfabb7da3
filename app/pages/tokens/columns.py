"""One column of the tokens page for each prompt: its tokens as chips, its answer below a divider, and the same in a
table. Covered columns hold no text at all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dash import html
from dash.development.base_component import Component

from app.components import aria, dataset, grid, icon
from app.components.tokens import visible
from backend import formats
from backend.services import Answer, TokenTrace, TokenView, TracedPrompt

HIDDEN = "hidden"
PARTS = {"template": "template", "prompt": "prompt", "boundary": "boundary", "response": "answer"}
VARIANTS = {"base": "Answer", "masked": "Without the flagged experts"}


@dataclass(frozen=True)
class Column:
    """What one column shows. `texts` are None while it is covered."""

    prompt: TracedPrompt
    trace: TokenTrace
    view: TokenView
    texts: Sequence[str | None] | None
    answers: Sequence[Answer]


def columns(shown: Sequence[Column], unit: str) -> Component:
    """All columns on one scale: the tallest underline is the largest value of any of them."""
    most = max((float(np.nanmax(one.view.values)) for one in shown), default=0.0)
    scale = f"The tallest underline is {formats.number(most, 3)}, {unit}, in both columns." if most else ""
    scale = scale or "No token has any of it: every underline is empty."
    return html.Div(
        [
            html.Div([_column(one, place, most, unit) for place, one in enumerate(shown)], className="token-columns"),
            html.P(scale, className="dim small") if shown[0].texts is not None else None,
        ],
        className="stack",
    )


def _column(one: Column, number: int, most: float, unit: str) -> Component:
    label = formats.prompt_label(one.prompt.label, one.prompt.group)
    heading = html.Div(
        [
            html.H2(one.prompt.prompt_id, className="wrap"),
            html.Span(label, className=one.prompt.label),
            html.Span(one.prompt.topic or "", className="dim small"),
        ],
        className="row",
    )
    asked = [at for at, part in enumerate(one.trace.parts) if part != "response"]
    said = [at for at, part in enumerate(one.trace.parts) if part == "response"]
    if one.texts is None:
        return html.Section([heading, _covered(len(asked), len(said)), _judged(one.answers)], className="token-column")
    return html.Section(
        [
            heading,
            _chips(one, number, asked, most, unit, f"Tokens of prompt {one.prompt.prompt_id}"),
            _judged(one.answers),
            _chips(one, number, said, most, unit, f"Tokens of the answer to {one.prompt.prompt_id}")
            if said
            else html.P("The answer has no token that was fed back to the model.", className="dim small"),
            html.P(
                "Point at a token, or move to it with the arrow keys, to see which experts worked on it.",
                id=f"token-detail-{number}",
                className="token-detail small",
                **aria(live="polite"),
            ),
        ],
        className="token-column",
    )


def _covered(asked: int, said: int) -> Component:
    return html.P(
        [icon("eye"), f" {formats.plural(asked, 'token')} of the prompt and {said} of the answer, covered."],
        className="token-cover dim",
    )


def _judged(answers: Sequence[Answer]) -> Component:
    """The divider: what the judge made of the answer, and of the one without the flagged experts."""
    labels = [
        html.Span(
            [html.Span(VARIANTS.get(one.variant, one.variant), className="dim small"), _label(one)], className="row"
        )
        for one in answers
    ]
    return html.Div(labels or html.Span("No answer was judged", className="dim small"), className="token-divider")


def _label(answer: Answer) -> Component:
    margin = "" if answer.margin is None else f", margin {formats.number(answer.margin)} nats"
    return html.Span(f"{answer.label}{margin}", className="chip")


def _chips(one: Column, number: int, places: Sequence[int], most: float, unit: str, name: str) -> Component:
    assert one.texts is not None
    chips = [_chip(one, number, at, most, unit) for at in places]
    return html.Div(chips, className="token-line", role="group", **aria(label=name))


def _chip(one: Column, number: int, at: int, most: float, unit: str) -> Component:
    text, value, part = one.texts[at], float(one.view.values[at]), one.trace.parts[at]  # type: ignore[index]
    spoken = HIDDEN if text is None else visible(text)
    routed = not math.isnan(value)
    special = " special" if one.trace.special[at] else ""
    worth = f"{unit} {formats.number(value, 3)}" if routed else "not routed"
    more: dict[str, Any] = {**dataset(at=f"{number}.{at}"), **aria(label=f"{spoken}, {PARTS[part]}, {worth}")}
    if routed and most:
        more["style"] = {"--w": f"{value / most:.3f}"}
    name = f"tok {part}{special}" + ("" if routed else " unrouted")
    # All tokens of a column are one stop for Tab; the arrow keys go on from the first.
    chip: Component = html.Button(spoken, type="button", className=name, tabIndex=0 if at == 0 else -1, **more)
    return chip


def details(shown: Sequence[Column], unit: str, base: str) -> dict[str, Any]:
    """What the browser needs to tell more of a token: its value and its first experts. No text is in it."""
    return {"unit": unit, "base": base, "columns": [_details(one) for one in shown if one.texts is not None]}


def _details(one: Column) -> list[list[Any]]:
    return [
        [
            PARTS[part] + (", special token" if special else ""),
            formats.number(float(value), 3) if not math.isnan(value) else None,
            [[top.layer, top.expert, formats.number(top.weight, 3), formats.percent(top.share)] for top in tops],
        ]
        for part, special, value, tops in zip(
            one.trace.parts, one.trace.special, one.view.values, one.view.tops, strict=True
        )
    ]


def table(shown: Sequence[Column], unit: str) -> Component | None:
    """The chips in numbers, both prompts one below the other; None while they are covered."""
    if shown[0].texts is None:
        return None
    rows = [row for one in shown for row in _rows(one)]
    heads: list[Mapping[str, Any]] = [
        {"field": "prompt", "headerName": "Prompt", "width": 150},
        {"field": "position", "headerName": "Position", "type": "rightAligned", "width": 100},
        {"field": "token", "headerName": "Token", "cellClass": "token-cell"},
        {"field": "part", "headerName": "Part", "width": 110},
        {"field": "value", "headerName": unit.capitalize(), "type": "rightAligned", "width": 150},
        {
            "field": "experts",
            "headerName": "First experts, by share of their layer's weight",
            "flex": 1,
            "minWidth": 260,
        },
    ]
    return html.Section(
        [html.H2("The same in numbers"), grid(rows, heads, "Every token with its value", height="360px")],
        className="stack token-table",
    )


def _rows(one: Column) -> list[dict[str, Any]]:
    assert one.texts is not None
    return [
        {
            "prompt": one.prompt.prompt_id,
            "position": at,
            "token": HIDDEN if text is None else visible(text),
            "part": PARTS[part],
            "value": None if math.isnan(value) else round(float(value), 4),
            "experts": ", ".join(f"{formats.place(t.layer, t.expert)} {formats.percent(t.share)}" for t in tops[:3]),
        }
        for at, (text, part, value, tops) in enumerate(
            zip(one.texts, one.trace.parts, one.view.values, one.view.tops, strict=True)
        )
    ]
