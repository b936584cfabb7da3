"""A chosen set of experts among its controls: over the band of random sets, set by set, and effect against drift."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from app.figures.template import FLAGGED, INK_2, NEUTRAL, NULL, clear, figure

Set = Mapping[str, Any]
Kind = Mapping[str, Any]
SYMBOLS = {
    "matched": "circle",
    "committee": "square",
    "last_layer": "triangle-up",
    "all_experts": "cross",
    "attention": "x",
}
"""By kind of control. All of them are grey, as every control is; shape tells them apart."""


_PERCENT = {
    "tickmode": "array",
    "tickvals": [0, 0.25, 0.5, 0.75, 1],
    "ticktext": [f"{points} %" for points in range(0, 101, 25)],
    "tickangle": 0,
}
_COLUMNS = {"series": "Tuned", "name": "Set"}
"""What a chart's table calls its first columns."""
_NAME = 18
"""Letters in a line of a name beside the strips, so that a phone has room for both."""


def band_strip(
    band: Mapping[str, Any], observed: Mapping[str, Any], *, title: str, span: tuple[float, float] | None = None
) -> go.Figure:
    """The chosen set as a dot, with its interval where it has one, over the grey band that holds 95 % of the random
    sets (`low` to `high`; where there are none, `mean` ± 2 `sd`), a line at their `mean`. Each of the `values`, where
    the band has them, is a small dot. Without random sets there is no band.
    """
    values = list(band.get("values") or ())
    chart = figure(height=136 if values else 112)
    if band["n"]:
        limits = _limits(band)
        ends = {"x0": limits[0], "x1": limits[1], "y0": -0.5, "y1": 0.5}
        chart.add_shape(type="rect", line_width=0, fillcolor=clear(NULL, 0.3), **ends)
        _random_sets(chart, band["mean"], limits, values)
        mean = {"color": NULL, "width": 3}
        chart.add_shape(type="line", x0=band["mean"], x1=band["mean"], y0=-0.5, y1=0.5, line=mean)
        chart.add_annotation(
            x=band["mean"],
            y=0.5,
            text=f"{band['n']} random sets",
            showarrow=False,
            yshift=11,
            font={"color": INK_2},
            xanchor=_anchor(band["mean"], span),
        )
    estimate, low, high = observed["estimate"], observed.get("low"), observed.get("high")
    bar = {"type": "data", "symmetric": False, "thickness": 2, "width": 0, "color": FLAGGED}
    known = low is not None and high is not None
    chart.add_scatter(
        x=[estimate],
        y=[0],
        mode="markers",
        cliponaxis=False,
        marker={"size": 12, "color": FLAGGED, "line": {"color": "#FFFFFF", "width": 1}},
        error_x={**bar, "array": [high - estimate], "arrayminus": [estimate - low]} if known else None,
        name="these experts",
        hovertemplate="these experts <b>%{x:.3f}</b><extra></extra>",
    )
    chart.update_yaxes(visible=False, range=[-0.8, 1.2])
    chart.update_xaxes(title_text=title, nticks=7, showgrid=True, range=_room(span))
    return chart


def _limits(band: Mapping[str, Any]) -> tuple[float, float]:
    if band.get("low") is not None:
        return float(band["low"]), float(band["high"])
    spread = 2 * float(band.get("sd") or 0.0)
    return band["mean"] - spread, band["mean"] + spread


def _random_sets(chart: go.Figure, mean: float, limits: tuple[float, float], values: Sequence[float]) -> None:
    """One dot each, those on one spot above each other; their mean and band as numbers for the chart's table."""
    chart.add_scatter(
        x=[mean],
        y=[0],
        mode="lines",
        name="random sets, mean",
        meta={"low": [limits[0]], "high": [limits[1]]},
        hovertemplate="random sets <b>%{x:.3f}</b> on average<extra></extra>",
    )
    if values:
        chart.add_scatter(
            x=values,
            y=[rise - 0.45 for rise in _rises(values, most=0.8, width=_dot(values, limits))],
            mode="markers",
            name="a random set",
            marker={"size": 5, "color": NEUTRAL, "opacity": 0.6},
            hovertemplate="a random set <b>%{x:.3f}</b><extra></extra>",
        )


def control_strips(chosen: Set, kinds: Sequence[Kind], *, title: str) -> go.Figure:
    """Every tuned set as a dot on the line of its kind, and the chosen one on top with a line through all of them.

    `kinds` as in tune.json's `controls.kinds`; the horizontal axis is a share, from 0 to 1. Dots on one spot are set
    apart upwards, so that all of them can be counted.
    """
    drawn = [kind for kind in kinds if _known(kind)]
    chart = figure(height=96 + 40 * (1 + len(drawn)))
    names = ["<br>".join(wrap(str(kind["title"]), _NAME)) for kind in drawn]
    for place, kind in enumerate(drawn):
        sets = _known(kind)
        values = [float(one["value"]) for one in sets]
        chart.add_scatter(
            x=values,
            y=[place - rise for rise in _rises(values)],
            mode="markers",
            cliponaxis=False,
            name=str(kind["title"]),
            marker={"size": 8, "color": NEUTRAL, "symbol": _symbol(kind), "opacity": 0.75},
            customdata=[one["name"] for one in sets],
            hovertemplate="%{customdata}<br><b>%{x:.0%}</b><extra></extra>",
        )
    if chosen.get("value") is not None:
        chart.add_vline(x=chosen["value"], line={"color": FLAGGED, "width": 1}, layer="below")
        chart.add_scatter(
            x=[chosen["value"]],
            y=[-1],
            mode="markers",
            cliponaxis=False,
            name="The chosen experts",
            customdata=[chosen["name"]],
            marker={"size": 13, "color": FLAGGED, "symbol": "diamond"},
            hovertemplate="%{customdata}<br><b>%{x:.0%}</b><extra></extra>",
        )
    chart.update_yaxes(
        tickmode="array",
        tickvals=[-1, *range(len(drawn))],
        ticktext=["The chosen<br>experts", *names],
        range=[len(drawn) - 0.4, -1.6],
        ticklabelstandoff=8,
    )
    chart.update_xaxes(title_text=title, range=_room((0.0, 1.0)), showgrid=True, **_PERCENT)
    chart.update_layout(meta={"columns": {**_COLUMNS, "y": None}})
    return chart


def drift_scatter(chosen: Set, kinds: Sequence[Kind], *, effect: str, yardstick: float | None = None) -> go.Figure:
    """Routing drift (JSD) of each tuned set against what it does; each kind is named beside one of its marks.

    `yardstick`, the drift between matched harmful and benign prompts, is a dotted line.
    """
    chart = figure(height=360)
    for kind in kinds:
        sets = [one for one in _known(kind) if one.get("drift_jsd") is not None]
        chart.add_scatter(
            x=[one["drift_jsd"] for one in sets],
            y=[one["value"] for one in sets],
            mode="markers",
            cliponaxis=False,
            name=str(kind["title"]),
            marker={"size": 9, "color": NEUTRAL, "symbol": _symbol(kind), "opacity": 0.75},
            customdata=[one["name"] for one in sets],
            hovertemplate="%{customdata}<br>drift <b>%{x:.4f}</b>, <b>%{y:.0%}</b><extra></extra>",
        )
    if chosen.get("drift_jsd") is not None and chosen.get("value") is not None:
        chart.add_scatter(
            x=[chosen["drift_jsd"]],
            y=[chosen["value"]],
            mode="markers",
            cliponaxis=False,
            name="The chosen experts",
            customdata=[chosen["name"]],
            marker={"size": 13, "color": FLAGGED, "symbol": "diamond"},
            hovertemplate=f"{chosen['name']}<br>drift <b>%{{x:.4f}}</b>, <b>%{{y:.0%}}</b><extra></extra>",
        )
    drifts = [one["drift_jsd"] for kind in kinds for one in _known(kind) if one.get("drift_jsd") is not None]
    widest = max([1e-6, *drifts, chosen.get("drift_jsd") or 0.0, yardstick or 0.0])
    if yardstick is not None:
        chart.add_scatter(x=[yardstick], y=[None], mode="lines", name="Matched pairs, untouched", showlegend=False)
        chart.add_vline(x=yardstick, line={"color": NULL, "width": 1, "dash": "dot"}, layer="below")
        chart.add_annotation(
            x=yardstick,
            y=1,
            yref="paper",
            text="matched pairs",
            showarrow=False,
            xanchor="left" if yardstick < 0.6 * widest else "right",
            xshift=4 if yardstick < 0.6 * widest else -4,
            font={"color": INK_2},
        )
    chart.update_xaxes(
        title_text="routing drift, JSD (0–1)", range=_room((0.0, 1.05 * widest)), showgrid=True, nticks=6
    )
    chart.update_yaxes(
        title_text=effect, title_standoff=12, ticklabelstandoff=6, range=_room((0.0, 1.0)), showgrid=True, **_PERCENT
    )
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": INK_2, "size": 12}}
    chart.update_layout(showlegend=True, legend=legend, meta={"columns": _COLUMNS})
    return chart


def _known(kind: Kind) -> list[Set]:
    """The sets of a kind that were tuned and measured."""
    return [one for one in kind.get("sets", ()) if one.get("value") is not None]


def _dot(values: Sequence[float], limits: tuple[float, float]) -> float:
    """How much of the axis a small dot covers, about."""
    return (max(*values, limits[1]) - min(*values, limits[0])) / 40 or 0.02


def _rises(values: Sequence[float], *, most: float = 0.36, width: float = 0.02) -> list[float]:
    """How far each dot is lifted off its line, at `most`: those within `width` of another one stand above it."""
    seen: dict[int, int] = {}
    lifted = []
    for value in values:
        spot = round(value / width)
        lifted.append(min(most, 0.09 * seen.get(spot, 0)))
        seen[spot] = seen.get(spot, 0) + 1
    return lifted


def _room(span: tuple[float, float] | None) -> list[float] | None:
    """A little more than the span, so that a mark at its end is whole."""
    return None if span is None else [span[0] - 0.03 * (span[1] - span[0]), span[1] + 0.03 * (span[1] - span[0])]


def _anchor(value: float, span: tuple[float, float] | None) -> str:
    """Words near an end of the axis grow inwards."""
    if span is None:
        return "center"
    share = (value - span[0]) / (span[1] - span[0])
    return "left" if share < 0.15 else "right" if share > 0.85 else "center"


def _symbol(kind: Kind) -> str:
    return SYMBOLS.get(str(kind["kind"]), "circle")
