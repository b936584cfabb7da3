"""Topic by topic: how far apart each two are routed, with topics that are alike next to one another."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from app.figures.template import AMOUNTS, figure

Cells = Sequence[Sequence[float | None]]


def topic_matrix(
    topics: Sequence[str], values: Cells, pairs: Sequence[Sequence[int]], *, order: Cells | None = None
) -> go.Figure:
    """`values` [topics, topics] are JSDs, None where there is no pair. Topics stand as average linkage of `order` puts
    them (of `values` by default), so that the same order can be kept while the values change."""
    place = clustered(order if order is not None else values)
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


def clustered(values: Cells) -> list[int]:
    """The topics' order in a tree of average linkage; two of them, or none, stay as they are."""
    distances = np.array(values, dtype=np.float64)
    if len(distances) < 3:
        return list(range(len(distances)))
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(np.nan_to_num(distances), checks=False), method="average", optimal_ordering=True)
    return [int(leaf) for leaf in leaves_list(tree)]
