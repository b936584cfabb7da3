"""The designed states of a page that has nothing to show yet: loading, empty, missing, failed."""

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components.icons import icon


def loading() -> Component:
    """The outline of a page: a heading, a line, a block."""
    return html.Div(
        [
            dmc.Skeleton(height=14, width=220),
            dmc.Skeleton(height=32, width="55%", mt=24),
            dmc.Skeleton(height=16, width="35%", mt=16),
            dmc.Skeleton(height=320, mt=32),
            html.Span("Loading", className="sr-only"),
        ],
        className="page",
    )


def empty(title: str, text: str, action: Component | None = None) -> Component:
    """What will stand here, and the button that fills it."""
    return html.Div([html.H2(title), html.P(text, className="dim"), action], className="state")


def missing(why: str) -> Component:
    return html.Div(
        [
            html.H1("Not found"),
            html.P(why, className="lead"),
            dcc.Link("All runs", href=addresses.RUNS, className="button"),
        ],
        className="page state-page",
    )


def failed(title: str, why: str, action: Component | None = None) -> Component:
    """What went wrong, why, and what now."""
    return html.Div(
        [html.H1(title), html.P([icon("warn"), " ", why], className="lead danger"), action],
        className="page state-page",
    )


def field_error(message: str) -> Component:
    """A message by the field that it is about."""
    return html.P([icon("warn"), html.Span(message)], className="field-error", role="alert")


def withheld(what: str, why: str) -> Component:
    """A quantity that the data cannot support, and the reason."""
    return html.P([html.Strong(f"{what}: withheld. "), why], className="withheld")
