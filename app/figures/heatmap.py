"""Layers down, experts across, one cell each. The numbers go to the browser as float32, never as lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from app.figures.template import AMOUNTS, CHANGES, DIFFERENCES, FLAGGED, figure

_WIDTH = 1120
_SMALLEST, _LARGEST = 6, 72
_RING = 7
"""Least half side of the ring around a flagged cell, in pixels, so that it shows however small the cells are."""
MISSING = "#F0F2F5"
"""The ground behind cells without an observation; the style sheet hatches it."""


@dataclass(frozen=True)
class Scale:
    """How numbers become colours: a colour scale, its ends, its middle where that means something."""

    colours: Any
    low: float
    high: float
    middle: float | None = None


def scale_of(quantity: str, values: npt.NDArray[np.float32]) -> Scale:
    """Amounts from 0; differences, and changes between two runs, symmetric around 0; lift symmetric around 1."""
    seen = values[np.isfinite(values)]
    top = float(seen.max()) if seen.size else 1.0
    if quantity in ("difference", "change"):
        reach = float(np.abs(seen).max()) if seen.size else 1.0
        return Scale(DIFFERENCES if quantity == "difference" else CHANGES, -(reach or 1.0), reach or 1.0, 0.0)
    if quantity == "lift":
        return Scale(_lift_colours(max(top, 1.25)), 0.0, max(top, 1.25), 1.0)
    return Scale(AMOUNTS, 0.0, top or 1.0)


def heatmap(
    values: npt.NDArray[np.float32],
    layers: Sequence[int],
    experts: Sequence[int],
    *,
    quantity: str,
    label: str,
    unit: str = "",
    flagged: Sequence[tuple[int, int]] = (),
) -> go.Figure:
    """`values` is float32 [layers, experts], NaN where nothing was observed: those cells show the hatched ground.

    `flagged` are (layer, expert) pairs, which get an outline that stays visible however small the cells are.
    """
    parts = heatmap_parts(
        values, layers, experts, scale=scale_of(quantity, values), label=label, unit=unit, flagged=flagged
    )
    # All at once: each update of a figure that stands costs as much as making it, and this one is drawn at each click.
    return figure(parts.trace, **parts.layout)


@dataclass(frozen=True)
class Parts:
    """A heatmap before it is a figure, so that more can stand beside it: its trace and its layout."""

    trace: dict[str, Any]
    layout: dict[str, Any]


def heatmap_parts(
    values: npt.NDArray[np.float32],
    layers: Sequence[int],
    experts: Sequence[int],
    *,
    scale: Scale,
    label: str,
    unit: str = "",
    flagged: Sequence[tuple[int, int]] = (),
    order: npt.NDArray[np.integer[Any]] | None = None,
) -> Parts:
    """As `heatmap`. With an `order` [layers, positions] each layer's experts stand in it: across are positions then,
    and every cell still knows its expert."""
    suffix, holes = f" {unit}" if unit else "", not np.isfinite(values).all()
    shown = values if order is None else np.take_along_axis(values, order.astype(np.intp), axis=1)
    rows = {layer: row for row, layer in enumerate(layers)}
    reach = max(0.5, _RING / _cell(len(experts)))
    places = [(rows[layer], _position(order, rows[layer], expert)) for layer, expert in flagged if layer in rows]
    trace = {
        "type": "heatmap",
        "z": np.ascontiguousarray(shown, dtype=np.float32),
        "x0": 0,  # experts are numbered without gaps, and so are positions
        "dx": 1,
        "y": [str(layer) for layer in layers],
        "colorscale": scale.colours,
        "zmin": scale.low,
        "zmax": scale.high,
        "xgap": 1 if len(experts) <= 64 and not holes else 0,
        "ygap": 1 if len(layers) <= 64 and not holes else 0,
        "hoverongaps": False,
        "hovertemplate": f"layer %{{y}} · expert %{{{'x' if order is None else 'customdata'}}}<br>"
        f"{label} <b>%{{z:.3f}}</b>{suffix}<extra></extra>",
        "colorbar": colour_bar(),
        **({} if order is None else {"customdata": order}),
    }
    layout = {
        "height": _height(len(layers), len(experts)),
        "xaxis": _expert_axis(experts) if order is None else _position_axis(len(experts)),
        "yaxis": layer_axis(layers),
        "margin": {"l": 56, "r": 8, "t": 48, "b": 48},
        "shapes": [shape for row, at in places for shape in _outlines(row, at, reach)],
        "meta": {"lights": "expert-cells", "layers": [*layers], "reach": reach},
        **({"plot_bgcolor": MISSING} if holes else {}),
    }
    return Parts(trace, layout)


def _position(order: npt.NDArray[np.integer[Any]] | None, row: int, expert: int) -> int:
    return expert if order is None else int(np.flatnonzero(order[row] == expert)[0])


def _lift_colours(top: float) -> list[tuple[float, str]]:
    """The difference colours with white at a lift of 1, each side linear up to its own end."""
    white = 1.0 / top
    return [(white * 2 * at if at <= 0.5 else white + (1 - white) * (2 * at - 1), colour) for at, colour in DIFFERENCES]


def colour_bar() -> dict[str, Any]:
    """Lying above the picture at the right, so that the cells keep the whole width."""
    return {
        "orientation": "h",
        "thickness": 8,
        "len": 240,
        "lenmode": "pixels",
        "x": 1,
        "xanchor": "right",
        "xpad": 0,
        "y": 1,
        "yanchor": "bottom",
        "ypad": 4,
        "outlinewidth": 0,
        "ticks": "",
        "nticks": 5,
        "tickfont": {"size": 12},
    }


def _cell(experts: int) -> int:
    """The side of a cell in pixels, about."""
    return min(_LARGEST, max(_SMALLEST, _WIDTH // max(experts, 1)))


def _height(layers: int, experts: int) -> int:
    return max(240, min(1400, _cell(experts) * layers + 96))


def _expert_axis(experts: Sequence[int]) -> dict[str, Any]:
    step = 1 if len(experts) <= 32 else 8 if len(experts) <= 160 else 32
    return {
        "title": {"text": "expert"},
        "automargin": False,
        "tickmode": "linear",
        "tick0": 0,
        "dtick": step,
        "range": [min(experts, default=0) - 0.5, max(experts, default=0) + 0.5],
        **_CROSSHAIR,
    }


def _position_axis(experts: int) -> dict[str, Any]:
    return {**_expert_axis(range(experts)), "title": {"text": "position in the layer"}}


def layer_axis(layers: Sequence[int]) -> dict[str, Any]:
    """One row for each MoE layer under its index in the model, without gaps where dense layers lie between."""
    step = 1 if len(layers) <= 32 else 8
    return {
        "title": {"text": "layer"},
        "automargin": False,
        "type": "category",
        "ticklabelstandoff": 6,
        "categoryorder": "array",
        "categoryarray": [str(layer) for layer in layers],
        "range": [len(layers) - 0.5, -0.5],
        "tickmode": "array",
        "tickvals": [str(layer) for layer in layers if layer % step == 0],
        **_CROSSHAIR,
    }


_CROSSHAIR = {
    "showspikes": True,
    "spikemode": "across",
    "spikesnap": "hovered data",
    "spikethickness": 1,
    "spikedash": "solid",
    "spikecolor": "rgba(120,128,142,0.6)",
}


def _outlines(row: int, expert: int, reach: float) -> list[dict[str, Any]]:
    """A ring around a cell, on a white one that sets it off from every colour; `reach` is half its side, in cells."""
    ring = {"type": "rect", "x0": expert - reach, "x1": expert + reach, "y0": row - reach, "y1": row + reach}
    return [{**ring, "line": {"color": colour, "width": width}} for colour, width in (("#FFFFFF", 5), (FLAGGED, 3))]
