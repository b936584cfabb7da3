"""The five contrasts side by side, one small panel each, layers across, all on one scale."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.template import HARMFUL, NEUTRAL, NULL, TEMPLATE, TOPIC, clear

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
    chart = make_subplots(
        1, len(PANELS), shared_yaxes=True, horizontal_spacing=0.02, subplot_titles=[name for _, name, _ in PANELS]
    )
    chart.update_layout(template=TEMPLATE, height=240, margin={"t": 32})
    for column, (key, name, colour) in enumerate(PANELS, start=1):
        rows = [(row["layer"], (row.get("overlap") or {}).get(key) if overlap else row.get(key)) for row in per_layer]
        _panel(
            chart, column, [(layer, one) for layer, one in rows if one and one["estimate"] is not None], colour, name
        )
    layers = [row["layer"] for row in per_layer] or [0]
    chart.update_xaxes(title_text="layer", range=[min(layers) - 0.5, max(layers) + 0.5], nticks=5, tickformat="d")
    chart.update_yaxes(showgrid=True, nticks=5)
    if overlap:
        chart.update_yaxes(range=[0, 1.05 * (top_k or 1)])
    else:
        chart.update_yaxes(rangemode="tozero")
    chart.update_yaxes(title_text=f"shared of {top_k}" if overlap else "JSD (0–1)", col=1)
    chart.update_annotations(font={"size": 12})
    axes = [f"x{number}" if number > 1 else "x" for number in range(1, len(PANELS) + 1)]
    chart.update_layout(meta={"layers": layers, "layer_axes": axes, "columns": {"series": "Contrast"}})
    return chart


def _panel(
    chart: go.Figure, column: int, known: Sequence[tuple[int, Mapping[str, Any]]], colour: str, name: str
) -> None:
    banded = [(layer, one) for layer, one in known if one["low"] is not None]
    x = [layer for layer, _ in banded]
    chart.add_scatter(
        x=x + x[::-1],
        y=[one["high"] for _, one in banded] + [one["low"] for _, one in reversed(banded)],
        fill="toself",
        fillcolor=clear(colour, 0.25),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        row=1,
        col=column,
    )
    chart.add_scatter(
        x=[layer for layer, _ in known],
        y=[one["estimate"] for _, one in known],
        name=name,
        meta={"low": [one["low"] for _, one in known], "high": [one["high"] for _, one in known]},
        mode="lines+markers",
        cliponaxis=False,
        line={"color": colour, "width": 2},
        marker={"size": 5},
        hovertemplate=f"layer %{{x}}<br>{name.lower()} <b>%{{y:.4f}}</b><extra></extra>",
        row=1,
        col=column,
    )
