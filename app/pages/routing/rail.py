"""The routing page's rail: quantity, prompts, what they are compared with, tokens, order, and the cells as a file."""

from collections.abc import Sequence

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from app import wording
from app.components import aria, icon, info
from app.pages.routing.cells import NOTHING, Choice, group_options
from app.quantities import QUANTITIES
from backend.services import Heatmap

SHOWN = ("frequency", "probability", "lift", "difference")
ORDERS = {"index": "Index", "topic": "Topic", "effect": "Effect"}
_INK = "var(--on-accent)"


def rail(cells: Heatmap, choice: Choice, orders: Sequence[str], csv: str) -> Component:
    """`orders` are those that the run has."""
    return html.Aside(
        [
            _quantities(choice),
            _groups("routing-group", "Prompts", group_options(cells.groups, choice.quantity), choice.group),
            _minus(cells, choice),
            _windows(cells.windows, choice),
            _orders(orders, choice),
            html.A(
                [icon("download"), "These cells as CSV"], id="routing-csv", href=csv, className="button quiet flush"
            ),
            dcc.Store(id="routing-groups", data=cells.groups),
        ],
        className="rail",
        **aria(label="What the heatmap shows"),
    )


def _quantities(choice: Choice) -> Component:
    rows = [
        html.Div(
            [dmc.Radio(iconColor=_INK, label=QUANTITIES[key].name, value=key, size="xs"), info(key)], className="row"
        )
        for key in SHOWN
    ]
    group: Component = dmc.RadioGroup(
        html.Div(rows, className="stack"), id="routing-quantity", value=choice.quantity, label="Quantity"
    )
    return group


def _groups(name: str, label: str, options: list[dict[str, object]], value: str | None, **more: object) -> Component:
    select: Component = dmc.Select(
        id=name,
        label=label,
        value=value,
        data=options,
        searchable=True,
        size="sm",
        nothingFoundMessage="No such topic",
        allowDeselect=False,
        **more,
    )
    return select


def _minus(cells: Heatmap, choice: Choice) -> Component:
    return _groups(
        "routing-minus",
        "Less those of",
        [{"value": NOTHING, "label": "Nothing"}, *group_options(cells.groups, "frequency")],
        choice.minus or NOTHING,
        disabled=choice.quantity == "difference",
    )


def _windows(windows: Sequence[str], choice: Choice) -> Component:
    radios = [
        dmc.Radio(
            iconColor=_INK,
            label=wording.WINDOWS[window],
            value=window,
            size="xs",
            description=wording.WINDOW_NOTES[window],
        )
        for window in windows
    ]
    group: Component = dmc.RadioGroup(
        html.Div(radios, className="stack"), id="routing-window", value=choice.window, label="Tokens"
    )
    return group


def _orders(orders: Sequence[str], choice: Choice) -> Component:
    """Those that the run lacks cannot be chosen."""
    radios = [
        html.Div(
            [
                dmc.Radio(iconColor=_INK, label=label, value=name, size="xs", disabled=name not in orders),
                info(f"order_{name}") if name != "index" else None,
            ],
            className="row",
        )
        for name, label in ORDERS.items()
    ]
    group: Component = dmc.RadioGroup(
        html.Div(radios, className="stack"), id="routing-order", value=choice.order, label="Order of experts"
    )
    return group


def view_switch(choice: Choice) -> Component:
    views = {"picture": "Picture", "topics": "Topics", "table": "Table"}
    return html.Div(
        dmc.SegmentedControl(
            id="routing-view",
            value=choice.view,
            data=[{"value": name, "label": label} for name, label in views.items()],
            size="xs",
        ),
        title="T swaps picture and table",
    )
