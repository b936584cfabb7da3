"""What explains each expert's use: η² of topic against η² of harm, one dot an expert, or shades where they are very many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from app.figures.template import FLAGGED, INK_2, NEUTRAL, NULL, figure

MOST_DOTS = 4_096
"""More dots than this are slow to draw and hide one another."""
SHOWN_DOTS = 2_048
_BINS = 64
_SHADES = ((0.0, "rgba(118,126,140,0)"), (0.01, "rgba(118,126,140,0.12)"), (1.0, "rgba(118,126,140,0.85)"))

Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class ExplainedPoints:
    """The experts that get a dot, and where the `rest` others lie: `density` [harm, topic] counts them in even bins from 0
    to 1 on both axes."""

    layer: Numbers
    expert: Numbers
    topic: Numbers
    harm: Numbers
    flagged: Numbers
    density: npt.NDArray[np.float64]
    rest: int = 0

    @classmethod
    def of(cls, columns: Mapping[str, Numbers], most: int = MOST_DOTS, shown: int = SHOWN_DOTS) -> "ExplainedPoints":
        """From a table of experts with columns layer, expert, flagged, eta_topic and eta_harm; experts without the last
        two are left out. Of more than `most` the flagged ones and the `shown` most explained by either get a dot.
        """
        topic, harm = columns["eta_topic"], columns["eta_harm"]
        known = np.flatnonzero(~np.isnan(topic) & ~np.isnan(harm))
        dots = known
        if len(known) > most:
            halves = [np.argsort(-eta[known], kind="stable")[: shown // 2] for eta in (topic, harm)]
            dots = np.unique(np.concatenate([known[halves[0]], known[halves[1]], np.flatnonzero(columns["flagged"])]))
        rest = np.setdiff1d(known, dots)
        density = np.histogram2d(harm[rest], topic[rest], bins=_BINS, range=((0, 1), (0, 1)))[0]
        named = (columns[name][dots] for name in ("layer", "expert"))
        return cls(*named, topic[dots], harm[dots], columns["flagged"][dots], density, len(rest))


def explained_scatter(points: ExplainedPoints, chance: Mapping[str, float]) -> go.Figure:
    """Flagged experts stand out; dotted lines show what `chance` (topic, harm) alone would explain."""
    shades = [_shades(points.density)] if points.rest else []
    chart = figure(*shades, *(_dots(points, flagged) for flagged in (False, True)), height=380)
    line = {"color": NULL, "width": 1, "dash": "dot"}
    chart.add_vline(x=chance["topic"], line=line, layer="below")
    chart.add_hline(y=chance["harm"], line=line, layer="below")
    chart.add_annotation(
        x=chance["topic"], y=1, yref="paper", text="chance", showarrow=False, xanchor="left", xshift=4,
        font={"color": INK_2},
    )  # fmt: skip
    seen = [values.max() for values in (points.topic, points.harm) if len(values)]
    reach = [-0.02, min(1.02, 1.08 * float(max(seen, default=1.0)) + 0.02)]
    chart.update_xaxes(title_text="explained by topic, η²", range=reach, showgrid=True, nticks=6)
    chart.update_yaxes(title_text="explained by harm, η²", range=reach, showgrid=True, nticks=6)
    chart.update_layout(meta={"lights": "expert-dots"}, dragmode="select")
    return chart


def _shades(density: npt.NDArray[np.float64]) -> go.Heatmap:
    """Many experts in one place must not hide that there are few elsewhere: the shade grows with the logarithm."""
    middles = (np.arange(_BINS) + 0.5) / _BINS
    shade = np.log1p(density).astype(np.float32)
    return go.Heatmap(
        z=shade, x=middles.astype(np.float32), y=middles.astype(np.float32), colorscale=_SHADES, zmin=0,
        showscale=False, hoverinfo="skip", name="other experts",
    )  # fmt: skip


def _dots(points: ExplainedPoints, flagged: bool) -> go.Scatter:
    chosen = points.flagged == flagged
    layers, experts = points.layer[chosen].tolist(), points.expert[chosen].tolist()
    places = [*zip(layers, experts, strict=True)]
    return go.Scatter(
        x=points.topic[chosen].round(5).tolist(),
        y=points.harm[chosen].round(5).tolist(),
        customdata=[[*place] for place in places],
        text=[f"L{layer}·E{expert}" for layer, expert in places],
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
