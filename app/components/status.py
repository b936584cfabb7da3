"""A run's status: a glyph and a word, so that neither colour nor shape has to say it alone."""

from dash import html
from dash.development.base_component import Component

from app.components.icons import icon

GLYPHS = {"queued": "dot", "running": "ring", "done": "check", "failed": "cross", "cancelled": "dash"}


def status(name: str) -> Component:
    return html.Span([icon(GLYPHS.get(name, "dot")), name.capitalize()], className=f"status status-{name}")
