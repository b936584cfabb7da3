"""Topic by topic: how far apart each two are routed, in the order that it is given."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.figures.template import AMOUNTS, figure

Cells = Sequence[Sequence[float | None]]


def topic_matrix(
    topics: Sequence[str], values: Cells, pairs: Sequence[Sequence[int]], order: Sequence[int]
) -> go.Figure:
    """`values` [topics, topics] are JSDs, None where there is no pair; `order` the topics' places from the left."""
    place = list(order)
    names = [topics[i] for i in place]
    shape = (len(topics), len(topics))
    cells = np.array(values, dtype=np.float64).reshape(shape)[np.ix_(place, place)]
    counts = np.array(pairs, dtype=np.int64).reshape(shape)[np.ix_(place, place)]
    chart = figure(
        go.Heatmap(
            z=cells,
            x=names,
            y=names,
            customdata=counts,
            colorscale=AMOUNTS,
            zmin=0,
            zmax=float(np.nanmax(cells)) if np.isfinite(cells).any() else 1.0,
            xgap=1,
            ygap=1,
            hoverongaps=False,
            showscale=bool(names),
            colorbar={"thickness": 8, "outlinewidth": 0, "nticks": 5, "title": {"text": "JSD", "side": "top"}},
            hovertemplate="%{y} and %{x}<br>JSD <b>%{z:.4f}</b>, %{customdata} pairs<extra></extra>",
        ),
        height=max(280, min(900, 120 + 26 * len(names))) if names else 40,
    )
    chart.update_xaxes(type="category", tickangle=-45, ticklabelstandoff=4, tickmode="linear", dtick=1)
    chart.update_yaxes(type="category", autorange="reversed", ticklabelstandoff=6, tickmode="linear", dtick=1)
    chart.update_layout(meta={"lights": "topic-cells", "columns": {"y": "Topic"}})
    return chart
