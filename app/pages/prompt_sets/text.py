"""One prompt's text in a table: covered where it is labelled harmful, called hidden where this server hides it."""

from dash import html
from dash.development.base_component import Component

from backend.services import PROMPTS_HIDDEN

SHOWN_CHARS = 160


def prompt_text(text: str | None, label: str | None, chars: int | None = SHOWN_CHARS) -> Component:
    """`chars` cuts the text; None shows all of it."""
    if text is None:
        return html.Span("hidden", className="dim", title=PROMPTS_HIDDEN)
    short = text if chars is None or len(text) <= chars else f"{text[:chars]}…"
    if label != "harmful":
        return html.Span(short, className="prompt-line")
    return html.Details([html.Summary("Show"), html.P(short)], className="reveal")
