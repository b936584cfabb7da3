"""A short table of contents that stays beside a long page. static/js/contents.js moves to a part and marks where
one is."""

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from app.components.aria import aria

Part = tuple[str, str]
"""The id of a section and its name in the list."""


def contents(parts: Sequence[Part], *below: Component | None) -> Component:
    """Links to sections of the page, in their order, and what else belongs beside the page."""
    links = [html.Li(html.A(name, href=f"#{key}", className="contents-link")) for key, name in parts]
    return html.Div(
        [html.Nav(html.Ol(links), className="contents", **aria(label="On this page")), *below], className="aside"
    )
