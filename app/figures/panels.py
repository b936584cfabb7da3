"""Panels side by side on one vertical axis, as one layout: `plotly.subplots` puts it together change by change, and
each change of a figure that stands costs as much as making it."""

from collections.abc import Mapping, Sequence
from typing import Any

Axis = Mapping[str, Any]


def panels(titles: Sequence[str], spacing: float, x: Sequence[Axis], y: Axis, y_title: str) -> dict[str, Any]:
    """The layout of a panel for each title: its axis across from `x`, and `y`, which all share and the first names.

    `spacing` is the share of the width between two. Traces go by `axes_of`.
    """
    width = (1 - spacing * (len(titles) - 1)) / max(1, len(titles))
    starts = [place * (width + spacing) for place in range(len(titles))]
    layout: dict[str, Any] = {
        "annotations": [_title(*one) for one in zip(titles, starts, [width] * len(titles), strict=True)]
    }
    for place, (start, own) in enumerate(zip(starts, x, strict=True)):
        across, up = axes_of(place).values()
        shared = {"matches": "y", "showticklabels": False} if place else {"title": {"text": y_title}}
        layout[f"xaxis{across[1:]}"] = {"anchor": up, "domain": [start, min(1.0, start + width)], **own}
        layout[f"yaxis{up[1:]}"] = {"anchor": across, "domain": [0, 1], **shared, **y}
    return layout


def axes_of(place: int) -> dict[str, str]:
    """The axes of the panel at `place`, for a trace."""
    number = str(place + 1) if place else ""
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def _title(text: str, start: float, width: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": start + width / 2,
        "y": 1.0,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "center",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12},
    }
