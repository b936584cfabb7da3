"""Small bars, one pair a layer: how much of a quantity each of two prompts has there."""

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.template import figure


def token_profile(
    layers: Sequence[int], series: Sequence[tuple[str, str, Sequence[float]]], chosen: int | None, unit: str
) -> go.Figure:
    """`series` are (name, colour, values by layer); with a `chosen` layer the others stand back."""
    bars = [
        go.Bar(
            x=[str(layer) for layer in layers],
            y=list(values),
            name=name,
            marker={"color": colour, "opacity": [1 if chosen in (None, layer) else 0.35 for layer in layers]},
            hovertemplate=f"{name}<br>layer %{{x}}<br>{unit} <b>%{{y:.3f}}</b><extra></extra>",
        )
        for name, colour, values in series
    ]
    chart = figure(*bars, height=132)
    chart.update_layout(barmode="group", bargap=max(0.3, 1 - len(layers) / 14), bargroupgap=0.08)
    chart.update_xaxes(title_text="layer", type="category", nticks=min(len(layers), 24))
    chart.update_yaxes(title_text=unit, rangemode="tozero", nticks=4)
    return chart
