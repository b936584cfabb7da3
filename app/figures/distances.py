"""One prompt among the harmful and the benign prompts of an audit: two dots, each over its group's own range."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.figures.template import BENIGN, HARMFUL, NEUTRAL, NULL, clear, figure

_COLOURS = {"harmful": HARMFUL, "benign": BENIGN}


@dataclass(frozen=True)
class GroupMark:
    """The prompt's distance to one group, and where the group's own prompts lie: 5, 50 and 95 %."""

    label: str
    distance: float
    low: float
    median: float
    high: float


def distance_strip(groups: Sequence[GroupMark]) -> go.Figure:
    """A row for each group: the grey band is its own prompts, the tick their median, the dot this prompt."""
    chart = figure(height=64 + 44 * len(groups))
    names = [f"to {group.label} prompts" for group in groups]
    for row, (name, group) in enumerate(zip(names, groups, strict=True)):
        box = {"type": "rect", "y0": row - 0.22, "y1": row + 0.22, "line_width": 0}
        chart.add_shape(**box, x0=group.low, x1=group.high, fillcolor=clear(NULL, 0.32), layer="below")
        chart.add_shape(type="line", x0=group.median, x1=group.median, y0=row - 0.22, y1=row + 0.22, line_color=NULL)
        chart.add_scatter(
            x=[group.distance],
            y=[name],
            mode="markers+text",
            cliponaxis=False,
            marker={"size": 13, "color": _COLOURS.get(group.label, NEUTRAL), "line": {"color": "#FFFFFF", "width": 1}},
            text=[f"{group.distance:.3f}"],
            textposition="top center",
            hovertemplate=f"%{{y}}<br><b>%{{x:.4f}}</b><br>its own: {group.low:.3f} to {group.high:.3f}<extra></extra>",
        )
    top = max(max(group.high, group.distance) for group in groups)
    chart.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=names,
        range=[len(names) - 0.4, -0.7],
        ticklabelstandoff=8,
    )
    chart.update_xaxes(title_text="mean Jensen–Shannon divergence", showgrid=True, nticks=6, range=[0, 1.12 * top])
    return chart
