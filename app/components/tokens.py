"""A token of the model's vocabulary as people can read it: spaces and line ends made visible, special tokens marked."""

from dash import html
from dash.development.base_component import Component

_VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥"})


def visible(text: str) -> str:
    """ " pay" as "␣pay"."""
    return text.translate(_VISIBLE) or "(empty)"


def token(text: str, *, special: bool) -> Component:
    """The token in the type of code; a special one says so."""
    shown = html.Code(visible(text), className="token")
    return html.Span([shown, html.Span("special", className="dim small")], className="row") if special else shown
