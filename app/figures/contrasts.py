"""The five contrasts side by side, one small panel each, layers across, all on one scale."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.figures.panels import axes_of, panels
from app.figures.template import HARMFUL, NEUTRAL, NULL, TOPIC, clear, figure

PANELS = (
    ("topic", "Topic", TOPIC),
    ("within_topic", "Within topic", NULL),
    ("safety", "Safety", HARMFUL),
    ("refusal_prefix", "Refusal prefix", NEUTRAL),
    ("behaviour", "Behaviour", NEUTRAL),
)


def contrasts_by_layer(
    per_layer: Sequence[Mapping[str, Any]], *, overlap: bool = False, top_k: int | None = None
) -> go.Figure:
    """JSD of each contrast by layer with its interval band, or with `overlap` the experts shared of `top_k`."""
    layers = [row["layer"] for row in per_layer] or [0]
    across = {
        "title": {"text": "layer"},
        "range": [min(layers) - 0.5, max(layers) + 0.5],
        "nticks": 5,
        "tickformat": "d",
    }
    up = {"range": [0, 1.05 * (top_k or 1)]} if overlap else {"rangemode": "tozero"}
    traces = []
    for place, (key, name, colour) in enumerate(PANELS):
        rows = [(row["layer"], (row.get("overlap") or {}).get(key) if overlap else row.get(key)) for row in per_layer]
        known = [(layer, one) for layer, one in rows if one and one["estimate"] is not None]
        traces += _panel(place, known, colour, name)
    return figure(
        *traces,
        height=240,
        margin={"t": 32},
        meta={
            "layers": layers,
            "layer_axes": [axes_of(place)["xaxis"] for place in range(len(PANELS))],
            "columns": {"series": "Contrast"},
        },
        **panels(
            [name for _, name, _ in PANELS],
            0.02,
            [across] * len(PANELS),
            {"showgrid": True, "nticks": 5, **up},
            f"shared of {top_k}" if overlap else "JSD (0–1)",
        ),
    )


def _panel(place: int, known: Sequence[tuple[int, Mapping[str, Any]]], colour: str, name: str) -> list[go.Scatter]:
    """The band and the line of one contrast."""
    banded = [(layer, one) for layer, one in known if one["low"] is not None]
    x = [layer for layer, _ in banded]
    band = go.Scatter(
        x=x + x[::-1],
        y=[one["high"] for _, one in banded] + [one["low"] for _, one in reversed(banded)],
        fill="toself",
        fillcolor=clear(colour, 0.25),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        **axes_of(place),
    )
    line = go.Scatter(
        x=[layer for layer, _ in known],
        y=[one["estimate"] for _, one in known],
        name=name,
        meta={"low": [one["low"] for _, one in known], "high": [one["high"] for _, one in known]},
        mode="lines+markers",
        cliponaxis=False,
        line={"color": colour, "width": 2},
        marker={"size": 5},
        hovertemplate=f"layer %{{x}}<br>{name.lower()} <b>%{{y:.4f}}</b><extra></extra>",
        **axes_of(place),
    )
    return [band, line]
