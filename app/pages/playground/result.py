"""What the playground shows of a question: nothing yet, what it waits for, why it failed, or everything that was found.

Prompt and answer are covered; `texts` is what a click uncovers. Called by `app.pages.playground.page`.
"""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components import Column, aria, icon, info, plain_table
from app.components.states import empty
from app.pages.playground import answer as playground_answer
from app.pages.playground import routing as playground_routing
from backend import formats
from backend.services import PROMPTS_HIDDEN, Asked, Question, Services, Waiting

EARLIER = 10
STATES = {"queued": "Waits", "running": "Is being answered", "failed": "Failed"}
WAITING_ICONS = {"answer": "ring", "turn": "ring", "worker": "warn"}
HIDDEN = "The text of answers is hidden on this server; the label and the routing remain."


def invitation() -> Component:
    return empty(
        "Nothing asked yet",
        "The answer's label with the words that decided it, the experts that the prompt used, its distance to an "
        "audit's harmful and benign prompts, and the verdicts of detectors will stand here.",
    )


def waiting(state: Waiting) -> Component:
    """What the question waits for, honestly: with what the worker is busy, and for how long."""
    parts: list[Any] = [icon(WAITING_ICONS.get(state.reason, "dot"))]
    if state.reason == "run" and state.run_id is not None:
        left = f", about {formats.seconds(state.eta_seconds)} left" if state.eta_seconds is not None else ""
        before = f" {formats.plural(state.ahead, 'question')} before it." if state.ahead else ""
        run = dcc.Link(state.run_name or state.run_id, href=addresses.run(state.run_id))
        parts += ["The worker computes ", run, f"{left}. Your question is answered between two runs.{before}"]
    else:
        parts.append(state.message.replace("`", ""))
    return html.P(html.Span(parts), className="playground-waiting")


def skeleton() -> Component:
    return html.Div(
        [dmc.Skeleton(height=28, width="40%"), dmc.Skeleton(height=16, width="60%"), dmc.Skeleton(height=220)],
        className="stack-2",
        **aria(hidden="true"),
    )


def failed(question: Question) -> Component:
    return html.Div(
        [
            html.H2("This question could not be answered"),
            html.P([icon("warn"), " ", question.error or "No reason was given."], className="lead danger"),
            html.P("Ask again with another model, a shorter prompt or a shorter answer.", className="dim"),
        ],
        className="stack",
    )


def result(asked: Asked, query: Mapping[str, str]) -> Component:
    """Everything that was found. Prompt, answer and tokens are covered."""
    return html.Div(
        [
            playground_answer.verdict(asked),
            html.Section(
                [html.H2("Prompt, answer and tokens"), html.Div(_cover(), id="playground-texts")], className="stack-2"
            ),
            playground_routing.routing(asked, query.get("window", "prompt"), asked.flagged),
            playground_answer.distance(asked),
            playground_answer.detectors(asked),
        ],
        className="stack-3",
    )


def _cover() -> Component:
    return html.Button([icon("eye"), "Show prompt and answer"], id="playground-show", type="button", className="button")


def texts(services: Services, asked: Asked, query: Mapping[str, str]) -> Component:
    """Prompt and answer in full, the deciding words marked, then token by token."""
    shadings = choices(asked, query)
    said = html.P(_marked(asked), className="review-answer")
    return html.Div(
        [
            html.Div(
                [
                    html.H3("Prompt"),
                    html.Blockquote(asked.prompt or PROMPTS_HIDDEN, className="prompt-text"),
                    html.H3("Answer"),
                    html.P(HIDDEN, className="withheld") if services.settings.hide_completions else said,
                ],
                className="uncovered",
                tabIndex=-1,
            ),
            dmc.Select(
                id="playground-shading",
                label=html.Span(["Tokens by the weight of ", info("token_share")]),
                data=[{"value": one.key, "label": one.name} for one in shadings],
                value=shadings[0].key,
                allowDeselect=False,
                searchable=True,
                w=260,
            ),
            html.Div(playground_routing.strip(asked, shadings[0]), id="playground-tokens"),
        ],
        className="stack-2",
    )


def choices(asked: Asked, query: Mapping[str, str]) -> list[playground_routing.Shading]:
    return playground_routing.shadings(asked, asked.flagged, selection(query.get("sel")))


def _marked(asked: Asked) -> list[Any]:
    answer = asked.answer
    assert answer is not None
    if not answer.text:
        return ["(empty)"]
    if answer.span is None:
        return [answer.text]
    start, end = answer.span
    return [answer.text[:start], html.Mark(answer.text[start:end]), answer.text[end:]]


def selection(text: str | None) -> list[tuple[int, int]]:
    """The experts of the address, "1.7,2.5"; what is none is left out."""
    pairs = [part.split(".") for part in (text or "").split(",")]
    return [(int(p[0]), int(p[1])) for p in pairs if len(p) == 2 and p[0].isdecimal() and p[1].isdecimal()]


def earlier(services: Services) -> Component | None:
    """The last questions without their texts."""
    found = services.playground.list(limit=EARLIER)
    if not found.items:
        return None
    columns = [Column("Asked"), Column("Model"), Column("Answer"), Column("Judge")]
    rows = [
        [
            dcc.Link(formats.moment(one.created), href=addresses.question(one.id), className="row-link"),
            one.model.name,
            playground_answer.LABELS[one.label] if one.label else STATES.get(one.status, one.status),
            one.judge,
        ]
        for one in found.items
    ]
    kept = services.settings.playground_kept
    note = f"The newest {kept} are kept, their texts covered; older ones are deleted with their texts."
    return html.Section(
        [
            html.H2("Asked before"),
            plain_table(columns, rows, "Questions, newest first"),
            html.P(note, className="dim small"),
        ],
        className="stack-2",
    )
