"""What explains each expert's use: η² of topic against η² of harm, one dot an expert."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.figures.template import FLAGGED, INK_2, NEUTRAL, NULL, figure


def explained_scatter(experts: Sequence[Mapping[str, Any]], chance: Mapping[str, float]) -> go.Figure:
    """`experts` are the report's rows with `eta_topic` and `eta_harm` in their details; those without are left out.

    Flagged ones stand out; dotted lines show what `chance` (topic, harm) alone would explain.
    """
    known = [row for row in experts if _eta(row, "topic") is not None and _eta(row, "harm") is not None]
    parts = [[row for row in known if bool(row["flagged"]) is flagged] for flagged in (False, True)]
    chart = figure(*(_dots(rows, flagged) for rows, flagged in zip(parts, (False, True), strict=True)), height=380)
    line = {"color": NULL, "width": 1, "dash": "dot"}
    chart.add_vline(x=chance["topic"], line=line, layer="below")
    chart.add_hline(y=chance["harm"], line=line, layer="below")
    chart.add_annotation(
        x=chance["topic"], y=1, yref="paper", text="chance", showarrow=False, xanchor="left", xshift=4,
        font={"color": INK_2},
    )  # fmt: skip
    top = max([_eta(row, name) or 0.0 for row in known for name in ("topic", "harm")], default=1.0)
    reach = [-0.02, min(1.02, 1.08 * top + 0.02)]
    chart.update_xaxes(title_text="explained by topic, η²", range=reach, showgrid=True, nticks=6)
    chart.update_yaxes(title_text="explained by harm, η²", range=reach, showgrid=True, nticks=6)
    chart.update_layout(meta={"lights": "expert-dots"}, dragmode="select")
    return chart


def _dots(rows: Sequence[Mapping[str, Any]], flagged: bool) -> go.Scatter:
    names = [f"L{row['layer']}·E{row['expert']}" for row in rows]
    return go.Scatter(
        x=[_eta(row, "topic") for row in rows],
        y=[_eta(row, "harm") for row in rows],
        customdata=[[row["layer"], row["expert"]] for row in rows],
        text=names,
        name="flagged" if flagged else "not flagged",
        mode="markers+text" if flagged else "markers",
        textposition="top center",
        textfont={"color": INK_2, "size": 12},
        cliponaxis=False,
        marker={
            "size": 11 if flagged else 6,
            "color": FLAGGED if flagged else NEUTRAL,
            "opacity": 1 if flagged else 0.6,
        },
        hovertemplate="%{text}<br>topic <b>%{x:.3f}</b><br>harm <b>%{y:.3f}</b><extra></extra>",
    )


def _eta(row: Mapping[str, Any], factor: str) -> float | None:
    return (row.get("details") or {}).get(f"eta_{factor}")
