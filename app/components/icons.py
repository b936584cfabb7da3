"""Icons: one SVG file each in static/icons, painted in the colour of the text around them."""

from dash import html
from dash.development.base_component import Component

from app.components.aria import aria


def icon(name: str) -> Component:
    """A decorative icon; the words beside it carry the meaning."""
    return html.Span(className=f"icon icon-{name}", **aria(hidden="true"))
