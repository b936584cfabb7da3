"""The place for a file: drop it there, or choose it. Its contents go to the callback that reads `name`.contents."""

from dash import dcc, html
from dash.development.base_component import Component

from app.components.icons import icon

PROMPT_FILES = ("Drop a CSV, JSONL, JSON or text file, or choose one", ".csv,.tsv,.jsonl,.ndjson,.json,.txt")
"""What is said of a file of prompts, and the endings that it may have."""


def file_drop(name: str, text: str, endings: str) -> Component:
    """`endings` are those that the browser offers, with commas; how large a file may be is the server's business."""
    return dcc.Upload(
        html.Button([icon("upload"), text], type="button", className="drop-button"),
        id=name,
        className="drop",
        className_active="drop drop-active",
        accept=endings,
        max_size=-1,
        multiple=False,
    )
