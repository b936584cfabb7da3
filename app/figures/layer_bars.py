"""One number for each layer, as bars from left to right."""

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.template import NEUTRAL, figure


def layer_bars(layers: Sequence[int], values: Sequence[float | None], name: str) -> go.Figure:
    """`values` [layers] under the layers' indices in the model; a layer without a number has no bar."""
    bars = {
        "type": "bar",
        "x": [str(layer) for layer in layers],
        "y": [*values],
        "marker": {"color": NEUTRAL, "line": {"width": 0}},
        "hovertemplate": f"layer %{{x}}<br>{name} <b>%{{y:.3f}}</b><extra></extra>",
    }
    step = 1 if len(layers) <= 24 else 8
    return figure(
        bars,
        height=360,
        bargap=0.25,
        xaxis={
            "type": "category",
            "title": {"text": "layer"},
            "tickmode": "array",
            "tickvals": [str(layer) for layer in layers if layer % step == 0],
        },
        yaxis={"title": {"text": name}, "rangemode": "tozero", "showgrid": True, "nticks": 6},
    )
