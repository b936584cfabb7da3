"""One small panel an outcome: where it was in A, where it is in B, and a line between the two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from app.figures.panels import axes_of, panels
from app.figures.template import figure

SIDES = ("A", "B")


@dataclass(frozen=True)
class Slope:
    """`a` and `b` are a report's intervals of shares; `change` is the difference in words, written below the panel."""

    name: str
    a: Mapping[str, Any]
    b: Mapping[str, Any]
    change: str
    colour: str


def slopes(rows: Sequence[Slope]) -> go.Figure:
    """Shares in percent on one axis for all panels, each end with its 95 % interval."""
    across = {"type": "category", "range": [-0.6, 1.6]}
    return figure(
        *(_line(row, place) for place, row in enumerate(rows)),
        height=300,
        margin={"t": 44, "l": 40},
        **panels(
            [row.name for row in rows],
            0.04,
            [{**across, "title": {"text": row.change, "standoff": 8}} for row in rows],
            {"range": [-4, 104], "tickvals": [0, 25, 50, 75, 100], "showgrid": True},
            "answers, %",
        ),
    )


def _line(row: Slope, place: int) -> go.Scatter:
    ends = [row.a, row.b]
    known = [end.get("low") is not None for end in ends]
    return go.Scatter(
        x=list(SIDES),
        y=[_points(end["estimate"]) for end in ends],
        **axes_of(place),
        mode="lines+markers",
        cliponaxis=False,
        line={"color": row.colour, "width": 2},
        marker={"size": 9, "color": row.colour},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [_points(e["high"] - e["estimate"]) if has else 0 for e, has in zip(ends, known, strict=True)],
            "arrayminus": [_points(e["estimate"] - e["low"]) if has else 0 for e, has in zip(ends, known, strict=True)],
            "thickness": 2,
            "width": 0,
            "color": row.colour,
        },
        name=row.name.replace("<br>", " "),
        hovertemplate="%{x} <b>%{y:.1f} %</b><extra>%{fullData.name}</extra>",
    )


def _points(share: float) -> float:
    return 100 * share
