"""The dose curve: what masking more and more experts costs, over the grey band of random sets of the same size."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.figures.template import FLAGGED, INK_2, NULL, clear, figure

Doses = Sequence[Mapping[str, Any]]


def dose_curve(doses: Doses, *, key: str = "margin", unit: str = "nats") -> go.Figure:
    """`doses` as in the report's `interventions.dose`; `key` is "margin" (nats) or "refusal" (a share).

    Sizes double, so they stand at equal distances. Dots have their 95 % intervals, the band holds 95 % of the random
    sets, the dashed line is their mean.
    """
    chart = figure(height=320)
    sizes = [str(dose["size"]) for dose in doses]
    null = "null" if key == "margin" else "null_refusal"
    known = [(size, dose[null]) for size, dose in zip(sizes, doses, strict=True) if dose[null]["n"]]
    x = [size for size, _ in known]
    chart.add_scatter(
        x=x + x[::-1],
        y=[band["high"] for _, band in known] + [band["low"] for _, band in reversed(known)],
        fill="toself",
        fillcolor=clear(NULL, 0.3),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name="random sets",
    )
    chart.add_scatter(
        x=x,
        y=[band["mean"] for _, band in known],
        meta={end: [band[end] for _, band in known] for end in ("low", "high")},
        mode="lines",
        line={"color": NULL, "width": 1, "dash": "dot"},
        hovertemplate="%{x} random experts<br>mean loss <b>%{y:.3f}</b><extra></extra>",
        name="random sets, mean",
    )
    chart.add_scatter(
        x=sizes,
        y=[dose[key]["estimate"] for dose in doses],
        error_y=_bars(doses, key),
        mode="lines+markers",
        cliponaxis=False,
        line={"color": FLAGGED, "width": 2},
        marker={"size": 9},
        hovertemplate=f"%{{x}} first experts<br>loss <b>%{{y:.3f}}</b> {unit}<extra></extra>",
        name="first experts",
    )
    if known:
        chart.add_annotation(
            x=1,
            xref="paper",
            y=known[-1][1]["mean"],
            text="random sets",
            showarrow=False,
            xanchor="left",
            xshift=8,
            font={"color": INK_2},
        )
    chart.update_xaxes(title_text="experts masked together", type="category", categoryarray=sizes)
    chart.update_yaxes(title_text=f"loss, {unit}", showgrid=True, nticks=6)
    chart.update_layout(margin={"r": 96}, meta={"columns": {"series": "Masked"}})
    return chart


def _bars(doses: Doses, key: str) -> dict[str, Any]:
    up = [_end(dose[key], "high") - dose[key]["estimate"] for dose in doses]
    down = [dose[key]["estimate"] - _end(dose[key], "low") for dose in doses]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 2, "width": 0}


def _end(interval: Mapping[str, Any], end: str) -> float:
    """That end of an interval, or its estimate where it has none."""
    value = interval[end]
    return float(interval["estimate"] if value is None else value)
