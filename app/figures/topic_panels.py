"""Small multiples: one small heatmap for each topic, layers down and experts across, all on one colour scale."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from app.figures.heatmap import MISSING, colour_bar, layer_axis
from app.figures.routing_picture import Colours, end_names, plain
from app.figures.template import INK, figure

_ACROSS = 4
_WIDTH = 240
"""Width of a panel in pixels, about."""
_TITLE, _TICKS = 30, 22
"""Pixels above each panel and below each row of them."""
_TOP, _BOTTOM = 48, 40
_SPACE = 0.022


def topic_panels(
    values: npt.NDArray[np.float32],
    topics: Sequence[str],
    layers: Sequence[int],
    experts: int,
    *,
    block: int,
    colours: Colours,
    label: str,
    unit: str = "",
) -> go.Figure:
    """`values` is float32 [topics, layers, columns], each column `block` neighbouring experts; NaN where nothing was
    seen.

    A click on a panel selects its topic.
    """
    across = min(_ACROSS, max(len(topics), 1))
    down = -(-len(topics) // across)
    tall = _panel_height(len(layers), values.shape[2])
    inner = down * (tall + _TITLE + _TICKS)
    scale, top = colours.scale(values), _TOP + (16 if colours.ends else 0)
    centres = (np.arange(values.shape[2]) * block + (block - 1) / 2).astype(np.float32)
    traces = [
        _panel(values[at], layers, centres, at, f"{plain(topic)}<br>{_hover(block, label, unit)}")
        for at, topic in enumerate(topics)
    ]
    boxes = [_box(at, across, tall, inner) for at in range(len(topics))]
    axes: dict[str, Any] = {}
    for at, (left, right, low, high) in enumerate(boxes):
        last_row, first_column = at + across >= len(topics), at % across == 0
        axes[f"xaxis{at + 1}"] = _across(experts, at, [left, right], labelled=last_row)
        axes[f"yaxis{at + 1}"] = _down(layers, at, [low, high], labelled=first_column)
    return figure(
        *traces,
        height=inner + top + _BOTTOM,
        margin={"l": 56, "r": 8, "t": top, "b": _BOTTOM},
        coloraxis={"colorscale": scale.colours, "cmin": scale.low, "cmax": scale.high, "colorbar": colour_bar()},
        annotations=[*(_title(topic, box) for topic, box in zip(topics, boxes, strict=True)), *end_names(colours.ends)],
        plot_bgcolor=MISSING if np.isnan(values).any() else "rgba(0,0,0,0)",
        meta={
            "lights": "topic-panels",
            "panels": [{"topic": topic, "axes": _axes(at)} for at, topic in enumerate(topics)],
            "layers": [*layers],
            "experts": experts,
            "reach": max(0.5, 4 * experts / _WIDTH),
        },
        **axes,
    )


def _panel_height(layers: int, columns: int) -> int:
    return round(min(240, max(64, layers * min(18, max(2.2, _WIDTH / max(columns, 1))))))


def _box(at: int, across: int, tall: int, inner: int) -> tuple[float, float, float, float]:
    """Left, right, lower and upper end of a panel, as shares of the drawing."""
    row, column = divmod(at, across)
    width = (1 - _SPACE * (across - 1)) / across
    top = inner - row * (tall + _TITLE + _TICKS) - _TITLE
    left = column * (width + _SPACE)
    return left, left + width, (top - tall) / inner, top / inner


def _axes(at: int) -> list[str]:
    """The names that a trace calls its axes by."""
    number = "" if at == 0 else str(at + 1)
    return [f"x{number}", f"y{number}"]


def _panel(
    values: npt.NDArray[np.float32],
    layers: Sequence[int],
    centres: npt.NDArray[np.float32],
    at: int,
    hover: str,
) -> dict[str, Any]:
    x, y = _axes(at)
    return {
        "type": "heatmap",
        "z": np.ascontiguousarray(values),
        "x": centres,
        "y": [str(layer) for layer in layers],
        "xaxis": x,
        "yaxis": y,
        "coloraxis": "coloraxis",
        "hoverongaps": False,
        "hovertemplate": hover,
    }


def _hover(block: int, label: str, unit: str) -> str:
    suffix = f" {unit}" if unit else ""
    which = "expert %{x:d}" if block == 1 else f"strongest of {block} experts around %{{x:.0f}}"
    return f"layer %{{y}} · {which}<br>{label} <b>%{{z:.3f}}</b>{suffix}<extra></extra>"


def _across(experts: int, at: int, domain: list[float], *, labelled: bool) -> dict[str, Any]:
    return {
        "domain": domain,
        "anchor": _axes(at)[1],
        "range": [-0.5, experts - 0.5],
        "tickmode": "linear",
        "tick0": 0,
        "dtick": 4 if experts <= 16 else 8 if experts <= 64 else 32 if experts <= 160 else 128,
        "showticklabels": labelled,
        "automargin": False,
        "title": {"text": "expert" if labelled and at % _ACROSS == 0 else ""},
    }


def _down(layers: Sequence[int], at: int, domain: list[float], *, labelled: bool) -> dict[str, Any]:
    step = 1 if len(layers) <= 8 else 8 if len(layers) <= 48 else 32
    axis = {key: value for key, value in layer_axis(layers).items() if not key.startswith("spike") and key != "title"}
    return {
        **axis,
        "domain": domain,
        "anchor": _axes(at)[0],
        "tickvals": [str(layer) for layer in layers if layer % step == 0],
        "showticklabels": labelled,
        "showspikes": False,
        **({"title": {"text": "layer"}} if labelled else {}),
    }


def _title(topic: str, box: tuple[float, float, float, float]) -> dict[str, Any]:
    left, _, _, high = box
    return {
        "text": f"<b>{plain(topic)}</b>",
        "x": left,
        "y": high,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 2,
        "showarrow": False,
        "font": {"size": 12, "color": INK},
    }
