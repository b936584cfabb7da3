"""The ⓘ beside every quantity: one sentence, its formula and where it comes from."""

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from app.components.aria import aria
from app.quantities import QUANTITIES


def info(key: str) -> Component:
    """The ⓘ of a quantity in `app.quantities`; opens on hover, focus and touch."""
    quantity = QUANTITIES[key]
    body = [html.Strong(quantity.name), html.P(quantity.sentence)]
    if quantity.formula:
        body.append(html.P(quantity.formula, className="formula"))
    body.append(html.P(quantity.source, className="source"))
    tip: Component = dmc.Tooltip(
        html.Button(
            "i",
            type="button",
            className="info",
            **aria(label=f"{quantity.name}: {quantity.sentence} {quantity.formula}".strip()),
        ),
        label=html.Div(body, className="tip"),
        events={"hover": True, "focus": True, "touch": True},
        multiline=True,
        w=320,
        withArrow=True,
        openDelay=150,
        transitionProps={"duration": 120},
        boxWrapperProps={"className": "info-box"},
    )
    return tip
