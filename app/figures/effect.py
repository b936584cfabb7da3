"""One effect on an axis of nats, over its matched random experts: each a grey dot, or their band where a report has
only their mean and spread."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from app.figures.template import FLAGGED, INK_2, NEUTRAL, NULL, clear, figure

_COLUMNS = 90
"""Dots that fit side by side over the whole width."""
_STEP = 0.13
_TALLEST = 1.5


def effect_against_null(effect: Mapping[str, Any], null: Mapping[str, Any] | None, flagged: bool) -> go.Figure:
    """The large dot with its 95 % interval below the null; zero is a line. Without the null's values one by one its
    band is the mean ± 2 standard deviations.
    """
    colour, values = FLAGGED if flagged else NEUTRAL, list((null or {}).get("values") or ())
    dots = [_swarm(values, _span(effect, values))] if values else []
    shapes, annotations = [_zero()], []
    if null is not None:
        shapes += [] if values else [_band(null)]
        text = f"{null['n']} matched random experts" if values else "matched random experts"
        annotations.append(_label(text, null["mean"], _TALLEST if values else 0.5))
    return figure(
        *dots,
        _effect(effect, colour),
        height=180 if values else 120,
        xaxis={"title": {"text": "effect on the refusal margin, nats"}, "nticks": 7, "showgrid": True},
        yaxis={"visible": False, "range": [-0.8, _TALLEST + 0.5] if values else [-0.8, 1.1]},
        shapes=shapes,
        annotations=annotations,
        margin={"t": 4},
    )


def _effect(effect: Mapping[str, Any], colour: str) -> go.Scatter:
    return go.Scatter(
        x=[effect["estimate"]],
        y=[0],
        name="this expert",
        mode="markers",
        marker={"size": 12, "color": colour, "line": {"color": "#FFFFFF", "width": 1}},
        error_x=_error_bar(effect["estimate"], effect.get("low"), effect.get("high"), colour),
        hovertemplate="effect <b>%{x:.3f}</b> nats<extra></extra>",
    )


def _swarm(values: Sequence[float], span: tuple[float, float]) -> go.Scatter:
    return go.Scatter(
        x=[*values],
        y=heights(values, span).tolist(),
        name="matched random experts",
        mode="markers",
        marker={"size": 6, "color": clear(NULL, 0.75)},
        hovertemplate="a matched random expert <b>%{x:.3f}</b> nats<extra></extra>",
    )


def heights(values: Sequence[float], span: tuple[float, float]) -> npt.NDArray[np.float64]:
    """How high each dot stands so that those in one place do not hide one another: stacked from 0.35 up, and closer
    where a stack would grow too tall.
    """
    low, high = span
    column = np.floor((np.asarray(values) - low) / ((high - low) or 1.0) * _COLUMNS).astype(np.int64)
    found = np.zeros(len(values))
    for one in np.unique(column):
        inside = np.flatnonzero(column == one)
        step = min(_STEP, (_TALLEST - 0.35) / max(1, len(inside) - 1))
        found[inside] = 0.35 + step * np.arange(len(inside))
    return found


def _span(effect: Mapping[str, Any], values: Sequence[float]) -> tuple[float, float]:
    ends = [0.0, *values, *(effect[end] for end in ("estimate", "low", "high") if effect.get(end) is not None)]
    return min(ends), max(ends)


def _zero() -> dict[str, Any]:
    return {"type": "line", "x0": 0, "x1": 0, "y0": -0.5, "y1": _TALLEST, "line": {"color": NULL, "width": 1}}


def _band(null: Mapping[str, Any]) -> dict[str, Any]:
    low, high = null["mean"] - 2 * null["sd"], null["mean"] + 2 * null["sd"]
    band = {"type": "rect", "x0": low, "x1": high, "y0": -0.5, "y1": 0.5}
    return {**band, "line": {"width": 0}, "fillcolor": clear(NULL, 0.3)}


def _label(text: str, x: float, y: float) -> dict[str, Any]:
    return {"text": text, "x": x, "y": y, "showarrow": False, "yshift": 12, "xanchor": "left", "font": {"color": INK_2}}


def _error_bar(estimate: float, low: float | None, high: float | None, colour: str) -> dict[str, Any]:
    if low is None or high is None:
        return {"visible": False}
    bar = {"type": "data", "symmetric": False, "array": [high - estimate], "arrayminus": [estimate - low]}
    return {**bar, "thickness": 2, "width": 0, "color": colour}
