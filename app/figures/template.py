"""The one Plotly template, and the colours that always mean the same (Okabe–Ito)."""

import plotly.graph_objects as go

HARMFUL = "#D55E00"
BENIGN = "#0072B2"
FLAGGED = "#CC79A7"
TOPIC = "#009E73"
NULL = "#8F96A3"
INK = "#15181D"
INK_2 = "#454C59"
NEUTRAL = "#767E8C"
"""Marks without a meaning of their own; stands out on white and on black."""
LINE = "#E2E5EA"

AMOUNTS = "Cividis_r"
"""Little is light and much is dark, in both themes."""

DIFFERENCES = ((0.0, BENIGN), (0.25, "#8DBBDB"), (0.5, "#FFFFFF"), (0.75, "#EDB48A"), (1.0, HARMFUL))
"""Blue for what benign prompts use more, white for nothing, vermillion for what harmful prompts use more."""

CHANGES = ((0.0, "#3A4252"), (0.25, "#9BA2B0"), (0.5, "#FFFFFF"), (0.75, "#E3B262"), (1.0, "#A85F00"))
"""Slate for what A uses more, white for no change, amber for what B uses more. Not the difference colours: vermillion
means harmful and blue benign everywhere, and neither of two runs is either."""

_AXIS = {
    "showgrid": False,
    "zeroline": False,
    "showline": False,
    "ticks": "",
    "gridcolor": LINE,
    "tickfont": {"size": 12, "color": INK_2},
    "title": {"font": {"size": 12, "color": INK_2}},
    "automargin": True,
    "fixedrange": True,
}

TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "Inter Variable, Inter, system-ui, sans-serif", "size": 12, "color": INK_2},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": INK,
            "bordercolor": INK,
            "font": {"color": "#FFFFFF", "size": 12, "family": "Inter Variable, Inter, system-ui, sans-serif"},
            "align": "left",
        },
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": NULL, "activecolor": INK_2, "orientation": "h"},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
)


def figure(*traces: object, height: int, **layout: object) -> go.Figure:
    """A figure of `height` pixels in the house template, with whatever else its layout says."""
    return go.Figure(data=list(traces), layout={"template": TEMPLATE, "height": height, **layout})


def clear(colour: str, opacity: float) -> str:
    """A hex colour as rgba with an opacity, for bands."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
