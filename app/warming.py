"""What pages import when they are first made, imported beforehand: the first visitor would wait a second for it."""

import threading
from importlib import import_module

import plotly.graph_objects as go
from plotly.io.json import to_json_plotly

from app.figures.template import figure

MODULES = ("scipy.stats", "scipy.sparse.csgraph")


def warm_up() -> threading.Thread:
    """Begin in a thread of its own, which the server does not wait for."""
    thread = threading.Thread(target=_warm_up, name="warm-up", daemon=True)
    thread.start()
    return thread


def _warm_up() -> None:
    for name in MODULES:
        import_module(name)
    # Plotly loads each kind of trace and each part of a layout when it is first used.
    marks = {"line": {"width": 1}, "marker": {"size": 1, "line": {"width": 1}}, "error_y": {"array": [1]}}
    traces = [go.Scatter(x=[1], y=[1], **marks), go.Heatmap(z=[[1]], colorbar={"title": {"text": ""}}), go.Bar(y=[1])]
    drawn = figure(*traces, height=100, xaxis={"title": {"text": ""}}, annotations=[{"text": ""}], shapes=[{"x0": 0}])
    to_json_plotly(drawn)
