"""Horizontal bars: how much each topic uses an expert."""

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.template import INK_2, NULL, TOPIC, figure


def lift_bars(topics: Sequence[str], lifts: Sequence[float]) -> go.Figure:
    """One bar a topic, most used first, with its number at the end and a line at 1, which is even use."""
    order = sorted(range(len(topics)), key=lambda index: lifts[index])
    trace = go.Bar(
        x=[lifts[index] for index in order],
        y=[topics[index] for index in order],
        orientation="h",
        marker={"color": TOPIC},
        text=[f"{lifts[index]:.2f}" for index in order],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}<br>lift <b>%{x:.3f}</b><extra></extra>",
    )
    chart = figure(trace, height=56 + 26 * len(order))
    chart.add_vline(x=1, line={"color": NULL, "width": 1, "dash": "dot"}, layer="below")
    chart.update_xaxes(title_text="lift", rangemode="tozero", range=[0, 1.15 * max([1.0, *lifts])])
    chart.update_yaxes(ticklabelstandoff=8, type="category")
    chart.update_layout(bargap=0.35, margin={"r": 40}, meta={"lights": "topic-bars"})
    chart.update_traces(textfont={"color": INK_2, "size": 12})
    return chart
