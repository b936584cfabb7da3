"""Named numbers with their intervals below each other, such as a detector among its baselines."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.figures.template import FLAGGED, NEUTRAL, NULL, figure

Named = tuple[str, Mapping[str, Any]]


def interval_dots(
    rows: Sequence[Named],
    *,
    title: str,
    marked: Collection[str] = (),
    reference: float | None = None,
    span: tuple[float, float] | None = None,
) -> go.Figure:
    """One dot a row with its 95 % interval, the first row on top; a row without an estimate stays empty.

    `marked` rows stand out; `reference` is a dotted line, such as chance; `span` are the ends of the axis.
    """
    chart = figure(height=64 + 28 * max(1, len(rows)))
    names = [name for name, _ in rows]
    for name, interval in rows:
        estimate, low, high = interval.get("estimate"), interval.get("low"), interval.get("high")
        colour = FLAGGED if name in marked else NEUTRAL
        bar = {"type": "data", "symmetric": False, "thickness": 2, "width": 0, "color": colour}
        chart.add_scatter(
            x=[estimate],
            y=[name],
            mode="markers",
            cliponaxis=False,
            marker={"size": 11 if name in marked else 9, "color": colour},
            error_x=None
            if estimate is None or low is None or high is None
            else {**bar, "array": [high - estimate], "arrayminus": [estimate - low]},
            hovertemplate="%{y}<br><b>%{x:.3f}</b><extra></extra>",
        )
    if reference is not None:
        chart.add_vline(x=reference, line={"color": NULL, "width": 1, "dash": "dot"}, layer="below")
    chart.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=names,
        range=[len(names) - 0.4, -0.6],
        ticklabelstandoff=8,
    )
    chart.update_xaxes(title_text=title, showgrid=True, nticks=6, range=list(span) if span else None)
    chart.update_layout(meta={"columns": {"y": "Name"}})
    return chart
