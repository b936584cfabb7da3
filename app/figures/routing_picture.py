"""The routing page's picture: a heatmap with each layer's router entropy at its right and the mean over layers below
it, on the same axes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from app.figures.heatmap import Scale, heatmap_parts, scale_of
from app.figures.template import DIFFERENCES, INK_2, NEUTRAL, figure

_BELOW, _GAP = 56, 10
"""Height of the bars below the cells, and of the space between, in pixels."""
_CELLS, _BESIDE = 0.9, 0.915
"""Where the cells end and the bars at the right begin, as shares of the width."""
_LONGEST = 18
Order = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Colours:
    """What the cells' colours mean. `kind` is "frequency", "probability", "lift", "difference" (harmful − benign),
    "inverse" (benign − harmful) or "change" (any other difference, whose colours mean no label).

    `ends` name what a difference's smallest and its largest values speak for.
    """

    kind: str
    ends: tuple[str, str] | None = None

    def scale(self, values: npt.NDArray[np.float32]) -> Scale:
        if self.kind != "inverse":
            return scale_of(self.kind, values)
        scale = scale_of("difference", values)
        turned = [(1 - at, colour) for at, colour in reversed(DIFFERENCES)]
        return Scale(turned, scale.low, scale.high, scale.middle)


def routing_picture(
    values: npt.NDArray[np.float32],
    layers: Sequence[int],
    *,
    load: npt.NDArray[np.float64],
    entropy: Sequence[float | None],
    colours: Colours,
    label: str,
    unit: str = "",
    flagged: Sequence[tuple[int, int]] = (),
    order: Order | None = None,
) -> go.Figure:
    """`values` is float32 [layers, experts], `load` [positions], `entropy` [layers] in bits, `order` [layers,
    positions] the experts as they stand side by side in each layer; without it by index.
    """
    experts = range(values.shape[1])
    parts = heatmap_parts(
        values,
        layers,
        experts,
        scale=colours.scale(values),
        label=label,
        unit=unit,
        flagged=flagged,
        order=order,
    )
    below = _bars_below(load, label, ordered=order is not None)
    return figure(parts.trace, below, _bars_beside(entropy, layers), **_layout(parts.layout, colours, load))


def _layout(cells: Mapping[str, Any], colours: Colours, load: npt.NDArray[np.float64]) -> dict[str, Any]:
    """The heatmap's own layout, higher by the bars below it."""
    height = cells["height"] + _BELOW + _GAP
    margin = {**cells["margin"], "t": 64 if colours.ends else 48}
    height += margin["t"] - cells["margin"]["t"]
    inner = height - margin["t"] - margin["b"]
    return {
        **cells,
        "height": height,
        "margin": margin,
        "bargap": 0.08 if load.size <= 64 else 0,
        "xaxis": {**cells["xaxis"], "domain": [0, _CELLS], "anchor": "y2"},
        "yaxis": {**cells["yaxis"], "domain": [(_BELOW + _GAP) / inner, 1]},
        "yaxis2": _load_axis(load, _BELOW / inner),
        "xaxis2": {
            "domain": [_BESIDE, 1],
            "anchor": "y",
            "rangemode": "tozero",
            "nticks": 3,
            "title": {"text": "entropy, bits", "standoff": 2},
            "automargin": False,
        },
        "annotations": end_names(colours.ends),
    }


def _load_axis(load: npt.NDArray[np.float64], top: float) -> dict[str, Any]:
    return {
        "domain": [0, top],
        "anchor": "x",
        "nticks": 3,
        "title": {"text": "mean"},
        "automargin": False,
        "rangemode": "tozero",
        "zeroline": bool(load.size and load.min() < 0),
        "zerolinewidth": 1,
    }


def _bars_below(load: npt.NDArray[np.float64], label: str, *, ordered: bool) -> dict[str, Any]:
    return {
        "type": "bar",
        "x0": 0,
        "dx": 1,
        "y": load.astype(np.float32),
        "xaxis": "x",
        "yaxis": "y2",
        "marker": {"color": NEUTRAL, "line": {"width": 0}},
        "hovertemplate": f"{'position' if ordered else 'expert'} %{{x}}<br>{label}, mean over layers <b>%{{y:.3f}}</b>"
        "<extra></extra>",
    }


def _bars_beside(entropy: Sequence[float | None], layers: Sequence[int]) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "x": [*entropy],
        "y": [str(layer) for layer in layers],
        "xaxis": "x2",
        "yaxis": "y",
        "marker": {"color": NEUTRAL, "line": {"width": 0}},
        "hovertemplate": "layer %{y}<br>router entropy <b>%{x:.2f}</b> bits<extra></extra>",
    }


def end_names(ends: tuple[str, str] | None) -> list[dict[str, Any]]:
    """Both ends of the colour bar, above it."""
    if ends is None:
        return []
    low, high = (plain(name) for name in ends)
    common = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "yanchor": "bottom", "showarrow": False, "yshift": 30}
    font = {"size": 12, "color": INK_2}
    return [
        {**common, "font": font, "text": f"← more in {low}", "xanchor": "left", "xshift": -240},
        {**common, "font": font, "text": f"more in {high} →", "xanchor": "right"},
    ]


def plain(name: str) -> str:
    """A name out of somebody's file, short and without Plotly's markup."""
    short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
