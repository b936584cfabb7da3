"""One effect on an axis of nats, over the grey band of its matched random experts."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from app.figures.template import FLAGGED, INK_2, NEUTRAL, NULL, clear, figure


def effect_against_null(effect: Mapping[str, Any], null: Mapping[str, Any] | None, flagged: bool) -> go.Figure:
    """The dot with its 95 % interval; the band is the null's mean ± 2 standard deviations, zero a line."""
    estimate, low, high = effect["estimate"], effect.get("low"), effect.get("high")
    chart = figure(height=120)
    if null is not None:
        band = (null["mean"] - 2 * null["sd"], null["mean"] + 2 * null["sd"])
        chart.add_shape(type="rect", x0=band[0], x1=band[1], y0=-0.5, y1=0.5, line_width=0, fillcolor=clear(NULL, 0.3))
        chart.add_annotation(
            x=null["mean"], y=0.5, text="matched random experts", showarrow=False, yshift=12, font={"color": INK_2}
        )
    chart.add_shape(type="line", x0=0, x1=0, y0=-0.5, y1=0.5, line={"color": NULL, "width": 1})
    chart.add_scatter(
        x=[estimate],
        y=[0],
        mode="markers",
        marker={"size": 12, "color": FLAGGED if flagged else NEUTRAL, "line": {"color": "#FFFFFF", "width": 1}},
        error_x=_error_bar(estimate, low, high, FLAGGED if flagged else NEUTRAL),
        hovertemplate="effect <b>%{x:.3f}</b> nats<extra></extra>",
    )
    chart.update_yaxes(visible=False, range=[-0.8, 1.1])
    chart.update_xaxes(title_text="effect on the refusal margin, nats", nticks=7, showgrid=True)
    chart.update_layout(margin={"t": 4})
    return chart


def _error_bar(estimate: float, low: float | None, high: float | None, colour: str) -> dict[str, Any]:
    if low is None or high is None:
        return {"visible": False}
    bar = {"type": "data", "symmetric": False, "array": [high - estimate], "arrayminus": [estimate - low]}
    return {**bar, "thickness": 2, "width": 0, "color": colour}
