"""Numbers with their intervals in a lighter tone, and the block that gives one a name."""

from collections.abc import Mapping
from typing import Any

from dash import html
from dash.development.base_component import Component

from app.components.info import info
from backend import formats


def interval(value: Mapping[str, Any] | None, unit: str = "") -> Component:
    """A quantity: "0.24 [0.19, 0.30]"."""
    return _shown(formats.interval(value, unit))


def rate(value: Mapping[str, Any] | None) -> Component:
    """A share: "72 % [68, 75]"."""
    return _shown(formats.rate(value))


def stat(label: str, value: Component | str, key: str | None = None, note: str | None = None) -> Component:
    """A labelled number with its ⓘ, and a line below it, such as how many it rests on."""
    return html.Div(
        [
            html.Div([html.Span(label), info(key) if key else None], className="stat-label"),
            html.Div(value, className="stat-value num"),
            html.Div(note, className="stat-note") if note else None,
        ],
        className="stat",
    )


def _shown(shown: formats.Shown) -> Component:
    parts: list[Component | str] = [html.Span(shown.estimate, className="est")]
    if shown.interval:
        parts += [" ", html.Span(shown.interval, className="ci", title="95 % interval")]
    return html.Span(parts, className="num")
