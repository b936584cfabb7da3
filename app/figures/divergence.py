"""Topic against safety: how differently prompts are routed, layer by layer, with interval bands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from app.figures.template import HARMFUL, INK_2, NEUTRAL, NULL, TOPIC, clear, figure

PerLayer = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Contrast:
    """One line of the chart: a key of the report's `per_layer`, its name, its colour and the one of its label,
    a variable of static/css/10-tokens.css that is readable in either theme."""

    key: str
    name: str
    colour: str
    label: str


CONTRASTS = (
    Contrast("topic", "topic", TOPIC, "--topic-text"),
    Contrast("safety", "safety", HARMFUL, "--harmful-text"),
    Contrast("within_topic", "within topic", NULL, "--ink-3"),
)


def divergence_by_layer(per_layer: PerLayer) -> go.Figure:
    """JSD of the three contrasts per layer, each named at the end of its line."""
    chart = figure(height=360)
    for contrast in CONTRASTS:
        _add_band(chart, per_layer, contrast)
        _add_line(chart, per_layer, contrast)
    _name_lines(chart, per_layer)
    chart.update_xaxes(title_text="layer", tickmode="array", tickvals=_ticks(per_layer), range=_span(per_layer, 0.35))
    chart.update_yaxes(title_text="JSD (0–1)", rangemode="tozero", showgrid=True, nticks=6)
    chart.update_layout(margin={"r": 96}, meta=_meta(per_layer, series="Contrast"))
    return chart


def profile(per_layer: PerLayer, height: int = 88) -> go.Figure:
    """The same, small and without axes, for a row of the overview: topic and safety only."""
    chart = figure(height=height)
    for contrast in CONTRASTS[:2]:
        _add_band(chart, per_layer, contrast)
        _add_line(chart, per_layer, contrast, width=2, markers=False)
    chart.update_xaxes(visible=False, range=_span(per_layer, 0.0))
    chart.update_yaxes(visible=False, rangemode="tozero")
    chart.update_layout(margin={"l": 0, "r": 0, "t": 4, "b": 4})
    return chart


def ratio_by_layer(per_layer: PerLayer) -> go.Figure:
    """The topic ratio ρ per layer as dots with intervals, and a line at 1 where topic and safety are even."""
    known = [row for row in per_layer if _value(row, "topic_ratio") is not None]
    trace = go.Scatter(
        x=[row["layer"] for row in known],
        y=[_value(row, "topic_ratio") for row in known],
        error_y=_error_bars(known, "topic_ratio"),
        mode="markers",
        cliponaxis=False,
        marker={"size": 8, "color": NEUTRAL},
        hovertemplate="layer %{x}<br>ρ <b>%{y:.3f}</b><extra></extra>",
    )
    chart = figure(trace, height=260)
    chart.add_hline(y=1, line={"color": NULL, "width": 1, "dash": "dot"})
    chart.update_xaxes(title_text="layer", tickmode="array", tickvals=_ticks(per_layer), range=_span(per_layer, 0.35))
    chart.update_yaxes(title_text="ρ", rangemode="tozero", showgrid=True, nticks=5)
    chart.update_layout(margin={"r": 96}, meta=_meta(per_layer))
    chart.add_annotation(
        x=1, xref="paper", y=1, text="even", showarrow=False, xanchor="left", xshift=8, font={"color": INK_2}
    )
    return chart


def _add_band(chart: go.Figure, per_layer: PerLayer, contrast: Contrast) -> None:
    """The 95 % interval as a ribbon; layers without an interval leave it out."""
    known = [row for row in per_layer if (row.get(contrast.key) or {}).get("low") is not None]
    x = [row["layer"] for row in known]
    chart.add_scatter(
        x=x + x[::-1],
        y=[row[contrast.key]["high"] for row in known] + [row[contrast.key]["low"] for row in reversed(known)],
        fill="toself",
        fillcolor=clear(contrast.colour, 0.18),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
    )


def _add_line(
    chart: go.Figure, per_layer: PerLayer, contrast: Contrast, width: float = 2, markers: bool = True
) -> None:
    chart.add_scatter(
        x=[row["layer"] for row in per_layer],
        y=[_value(row, contrast.key) for row in per_layer],
        name=contrast.name,
        meta={end: [(row.get(contrast.key) or {}).get(end) for row in per_layer] for end in ("low", "high")},
        mode="lines+markers" if markers else "lines",
        cliponaxis=False,
        line={"color": contrast.colour, "width": width},
        marker={"size": 6},
        hovertemplate=f"layer %{{x}}<br>{contrast.name} <b>%{{y:.4f}}</b><extra></extra>",
    )


def _name_lines(chart: go.Figure, per_layer: PerLayer) -> None:
    """Direct labels instead of a legend, moved apart where two lines end close together."""
    ends = [(_value(per_layer[-1], c.key), c) for c in CONTRASTS] if per_layer else []
    ends = sorted(((value, c) for value, c in ends if value is not None), key=lambda end: end[0] or 0.0)
    top = max((_value(row, c.key) or 0.0 for row in per_layer for c in CONTRASTS), default=1.0) or 1.0
    shown_at = float("-inf")
    for value, contrast in ends:
        shown_at = max(value or 0.0, shown_at + 0.07 * top)
        chart.add_annotation(
            x=1,
            xref="paper",
            y=shown_at,
            text=f'<span style="color:var({contrast.label})">{contrast.name}</span>',
            showarrow=False,
            xanchor="left",
            xshift=8,
        )


def _meta(per_layer: PerLayer, **columns: str) -> dict[str, Any]:
    """Where the chosen layer is marked (static/js/layers.js), and what the table's columns are called."""
    return {"layers": [row["layer"] for row in per_layer], "layer_axes": ["x"], "columns": columns}


def _value(row: Mapping[str, Any], key: str) -> float | None:
    return (row.get(key) or {}).get("estimate")


def _error_bars(rows: PerLayer, key: str) -> dict[str, Any]:
    up = [(row[key]["high"] or row[key]["estimate"]) - row[key]["estimate"] for row in rows]
    down = [row[key]["estimate"] - (row[key]["low"] or row[key]["estimate"]) for row in rows]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.5, "width": 0}


def _ticks(per_layer: PerLayer) -> list[int]:
    step = 1 if len(per_layer) <= 24 else 8
    return [row["layer"] for row in per_layer if row["layer"] % step == 0]


def _span(per_layer: PerLayer, room: float) -> list[float]:
    layers = [row["layer"] for row in per_layer] or [0]
    return [min(layers) - room, max(layers) + room]
