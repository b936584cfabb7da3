"""How prompts are spread over topics: harmful ones to the left of a middle line, benign ones to the right."""

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.template import BENIGN, HARMFUL, INK_2, LINE, figure


def balance_bars(topics: Sequence[str], harmful: Sequence[int], benign: Sequence[int]) -> go.Figure:
    """One row a topic, the first on top, both sides on one scale with their numbers at the ends."""
    chart = figure(height=72 + 26 * max(1, len(topics)))
    for name, values, sign, colour in (("harmful", harmful, -1, HARMFUL), ("benign", benign, 1, BENIGN)):
        chart.add_bar(
            x=[sign * value for value in values],
            y=list(topics),
            orientation="h",
            name=name,
            marker={"color": colour},
            text=[str(value) for value in values],
            textposition="outside",
            cliponaxis=False,
            textfont={"color": INK_2, "size": 12},
            customdata=list(values),
            hovertemplate="%{y}<br>%{customdata} " + name + "<extra></extra>",
        )
    widest = 1.2 * max([1, *harmful, *benign])
    for side, name in ((-0.5, "← harmful"), (0.5, "benign →")):
        chart.add_annotation(
            x=side * widest, y=1, yref="paper", yanchor="bottom", text=name, showarrow=False, font={"size": 12}
        )
    chart.add_vline(x=0, line={"color": LINE, "width": 1})
    chart.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=list(topics),
        range=[len(topics) - 0.4, -0.6],
        ticklabelstandoff=8,
    )
    chart.update_xaxes(range=[-widest, widest], showticklabels=False)
    chart.update_layout(barmode="overlay", bargap=0.35, margin={"t": 28})
    return chart
