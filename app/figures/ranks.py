"""Where do the criteria agree? One line an expert through its rank by each criterion, best at the top."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import plotly.graph_objects as go

from app.figures.template import FLAGGED, INK_2, NEUTRAL, NULL, clear, figure

_BOTTOM = 1.35


class Ranked(Protocol):
    """An expert with its rank by each criterion (None where it has no score); `rank` is the audit's own."""

    @property
    def name(self) -> str: ...
    @property
    def flagged(self) -> bool: ...
    @property
    def selected(self) -> bool: ...
    @property
    def rank(self) -> int: ...
    @property
    def ranks(self) -> Sequence[int | None]: ...


def rank_lines(experts: Sequence[Ranked], criteria: Sequence[str], everyone: int) -> go.Figure:
    """Ranks out of `everyone` on a logarithmic axis, since the best few places are what matters. Flagged and selected
    experts are named at the right end of their lines.

    A line is broken where a criterion has no score for the expert.
    """
    columns = ["audit's ranking", *criteria]
    order = sorted(experts, key=lambda one: (one.selected, one.flagged))  # those that matter are drawn last, on top
    named = _labels([one for one in experts if one.flagged or one.selected])
    return figure(
        *(_line(one, columns) for one in order),
        height=360,
        xaxis={
            "tickmode": "array",
            "tickvals": [*range(len(columns))],
            "ticktext": columns,
            "side": "top",
            "autotickangles": [0, -35],
            "automargin": True,
            "range": [-0.2, len(columns) - 0.8],
        },
        yaxis=_rank_axis(everyone),
        margin={"r": 80, "t": 40},
        shapes=[_rule(at) for at in range(len(columns))],
        annotations=[_name(one, height, len(columns) - 1) for one, height in named],
    )


def _rank_axis(everyone: int) -> dict[str, Any]:
    ticks = [10**power for power in range(1 + int(math.log10(max(everyone, 1))))]
    ticks += [] if everyone < 2 * ticks[-1] else [everyone]
    return {
        "type": "log",
        "title": {"text": "rank"},
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [f"{tick:,}".replace(",", "\u202f") for tick in ticks],
        "range": [math.log10(_BOTTOM * max(everyone, 2)), -0.12],
        "showgrid": True,
    }


def _rule(at: int) -> dict[str, Any]:
    line = {"color": clear(NULL, 0.35), "width": 1}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "layer": "below", "line": line}


def _name(one: Ranked, height: float, right: int) -> dict[str, Any]:
    place = {"x": right, "y": height, "showarrow": False, "xanchor": "left", "xshift": 10}
    return {**place, "text": f"<b>{one.name}</b>" if one.selected else one.name, "font": {"color": INK_2, "size": 12}}


def _line(one: Ranked, columns: Sequence[str]) -> go.Scatter:
    strong = one.flagged or one.selected
    return go.Scatter(
        x=[*range(len(columns))],
        y=[one.rank, *one.ranks],
        customdata=columns,
        name=one.name,
        mode="lines+markers",
        line={"color": _colour(one), "width": 3 if one.selected else 2.5 if strong else 1},
        marker={"size": 8 if strong else 5, "color": _colour(one)},
        connectgaps=False,
        cliponaxis=False,
        hovertemplate=f"{one.name}<br>%{{customdata}} <b>%{{y}}</b><extra></extra>",
    )


def _colour(one: Ranked) -> str:
    if one.flagged:
        return FLAGGED
    return NEUTRAL if one.selected else clear(NEUTRAL, 0.45)


def _labels(experts: Sequence[Ranked], apart: float = 0.09) -> list[tuple[Ranked, float]]:
    """Where each name stands, in log10 of rank: at the end of its line, moved down where names would overlap."""
    ends = sorted(((math.log10(_last(one)), one.name, one) for one in experts), key=lambda end: end[:2])
    placed: list[tuple[Ranked, float]] = []
    for height, _, one in ends:
        free = placed[-1][1] + apart * 2.5 if placed else height
        placed.append((one, max(height, free)))
    return placed


def _last(one: Ranked) -> int:
    """The rank where the line ends at the right, or before it where the last criterion has no score."""
    return next((rank for rank in reversed([one.rank, *one.ranks]) if rank), 1)
