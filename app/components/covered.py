"""Prompts and answers stay covered until somebody asks for them: their text is not even sent before that."""

from dash import html
from dash.development.base_component import Component

from app.components.aria import aria
from app.components.icons import icon


def cover(run_id: str, prompt_id: str, label: str = "Show prompt and answers") -> Component:
    """A button where the text will be; the callback in app.pages.experts.expert replaces it."""
    return html.Div(
        html.Button(
            [icon("eye"), label],
            id={"type": "uncover", "run": run_id, "prompt": prompt_id},
            type="button",
            className="button quiet",
            **aria(label=f"{label} of {prompt_id}"),
        ),
        id={"type": "covered", "run": run_id, "prompt": prompt_id},
        className="covered",
    )


def uncovered(text: str, answers: list[tuple[str, str, str]]) -> Component:
    """The prompt, then each answer as (which model, judged label, text)."""
    return html.Div(
        [
            html.Blockquote(text, className="prompt-text"),
            *(
                html.Div(
                    [html.Div([html.Strong(who), html.Span(label, className="chip")], className="row"), html.P(answer)],
                    className="answer",
                )
                for who, label, answer in answers
            ),
        ],
        className="uncovered",
        tabIndex=-1,
    )
