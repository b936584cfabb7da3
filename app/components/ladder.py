"""The evidence ladder: six small steps, filled where passed. The same glyph everywhere."""

from collections.abc import Mapping

from dash import html
from dash.development.base_component import Component

from app.components.aria import aria
from app.wording import LADDER, ladder_text


def ladder(evidence: Mapping[str, bool], flagged: bool = False) -> Component:
    """The glyph; routing evidence (steps 1–3) and causal evidence (4–6) stand apart."""
    steps = [html.Span(className="step passed" if evidence.get(name) else "step") for name, _ in LADDER]
    return html.Span(
        steps,
        className="ladder flagged-ladder" if flagged else "ladder",
        role="img",
        title=ladder_text(evidence),
        **aria(label=ladder_text(evidence)),
    )


def ladder_list(evidence: Mapping[str, bool]) -> Component:
    """The six steps in words, each with what it asks for."""
    return html.Ol([_rung(name, meaning, bool(evidence.get(name))) for name, meaning in LADDER], className="rungs")


def _rung(name: str, meaning: str, passed: bool) -> Component:
    return html.Li(
        [
            html.Span(className=f"icon icon-{'check' if passed else 'dash'}", **aria(hidden="true")),
            html.Span(
                [
                    html.Strong(name.capitalize()),
                    html.Span("passed" if passed else "not passed", className="sr-only"),
                    html.Span(meaning, className="dim"),
                ]
            ),
        ],
        className="passed" if passed else None,
    )
