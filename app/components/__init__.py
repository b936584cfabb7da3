"""Reusable parts of pages: plain functions from data to Dash components. They fetch nothing and register nothing."""

from app.components.aria import aria, dataset
from app.components.certificate import certificate_badge
from app.components.contents import contents
from app.components.covered import cover, uncovered
from app.components.drop import PROMPT_FILES, file_drop
from app.components.effect import effect_strip
from app.components.graph import graph, static_graph
from app.components.icons import icon
from app.components.info import info
from app.components.ladder import ladder, ladder_list
from app.components.numbers import interval, rate, stat
from app.components.status import status
from app.components.tables import Column, grid, plain_table
from app.components.tokens import token

__all__ = [
    "PROMPT_FILES",
    "Column",
    "aria",
    "certificate_badge",
    "contents",
    "cover",
    "dataset",
    "effect_strip",
    "file_drop",
    "graph",
    "grid",
    "icon",
    "info",
    "interval",
    "ladder",
    "ladder_list",
    "plain_table",
    "rate",
    "stat",
    "static_graph",
    "status",
    "token",
    "uncovered",
]
