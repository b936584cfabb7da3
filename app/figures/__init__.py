"""Charts: pure functions from data to Plotly figures. They know no page, no service and no theme.

A figure carries the light palette, so that a download is black on white; static/css/60-charts.css repaints axes and
text on the page, which therefore changes with the theme at once and without a request.
"""

from app.figures.balance import balance_bars
from app.figures.bars import lift_bars
from app.figures.contrasts import contrasts_by_layer
from app.figures.controls import band_strip, control_strips, drift_scatter
from app.figures.distances import GroupMark, distance_strip
from app.figures.divergence import divergence_by_layer, profile, ratio_by_layer
from app.figures.dose import dose_curve
from app.figures.effect import effect_against_null
from app.figures.explained import explained_scatter
from app.figures.heatmap import heatmap
from app.figures.intervals import interval_dots
from app.figures.layer_bars import layer_bars
from app.figures.ranks import rank_lines
from app.figures.routing_picture import Colours, routing_picture
from app.figures.slopes import Slope, slopes
from app.figures.token_profile import token_profile
from app.figures.topic_matrix import topic_matrix
from app.figures.topic_panels import topic_panels

__all__ = [
    "Colours",
    "GroupMark",
    "Slope",
    "balance_bars",
    "band_strip",
    "contrasts_by_layer",
    "control_strips",
    "distance_strip",
    "divergence_by_layer",
    "dose_curve",
    "drift_scatter",
    "effect_against_null",
    "explained_scatter",
    "heatmap",
    "interval_dots",
    "layer_bars",
    "lift_bars",
    "profile",
    "rank_lines",
    "ratio_by_layer",
    "routing_picture",
    "slopes",
    "token_profile",
    "topic_matrix",
    "topic_panels",
]
