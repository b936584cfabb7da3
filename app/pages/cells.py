"""One heatmap of a run in every form that the routing page shows: picture, rows, heading, caption, largest cells."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dash import dcc, html
from dash.development.base_component import Component
from plotly.graph_objects import Figure

from app import addresses, formats, wording
from app.figures import heatmap
from app.quantities import QUANTITIES
from backend.services import Heatmap

MOST = 8
UNITS = {"frequency": "", "probability": "", "lift": "× even use", "difference": ""}
PROMPTS = {
    "all": "All prompts",
    "harmful": "Harmful prompts",
    "benign": "Benign prompts",
    "jailbreak": "Jailbreak prompts",
}


@dataclass(frozen=True)
class Choice:
    """What the rail is set to."""

    quantity: str = "frequency"
    group: str = "all"
    window: str = "prompt"
    view: str = "picture"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Choice":
        named = {name: query[name] for name in ("quantity", "group", "window") if name in query}
        return cls(**named, view="table" if query.get("view") == "table" else "picture")


@dataclass(frozen=True)
class Drawn:
    """The same cells twice, with their heading and caption."""

    figure: Figure
    rows: list[dict[str, Any]]
    title: str
    caption: str
    csv: str
    largest: list[Component]


def draw(run_id: str, cells: Heatmap, flagged: Sequence[Sequence[int]], choice: Choice) -> Drawn:
    """Picture, table, heading and caption of one heatmap; rows only when the table is on show."""
    places = [(int(layer), int(expert)) for layer, expert in flagged]
    name = QUANTITIES[cells.quantity].name
    figure = heatmap(
        cells.values,
        cells.layers,
        cells.experts,
        quantity=cells.quantity,
        label=name.lower(),
        unit=UNITS[cells.quantity],
        flagged=places,
    )
    caption = (
        f"{formats.plural(len(cells.layers), 'MoE layer')} × {len(cells.experts)} experts; "
        f"{wording.WINDOW_NOTES[cells.window]}. {_mean(cells.quantity)}"
    )
    if np.isnan(cells.values).any():
        caption += " Hatched: nothing was observed."
    if places:
        caption += " Outlined: flagged experts."
    query = {"quantity": cells.quantity, "group": cells.group, "window": cells.window}
    return Drawn(
        figure,
        _rows(run_id, cells, set(places)) if choice.view == "table" else [],
        f"{name}, {group_name(cells.group).lower() if cells.group in PROMPTS else group_name(cells.group)}",
        caption,
        addresses.download(run_id, "heatmap.csv", **query),
        _largest(run_id, cells),
    )


def _largest(run_id: str, cells: Heatmap) -> list[Component]:
    """The cells that stand out most, as links: by size, and for a difference by its distance from 0."""
    size = np.nan_to_num(np.abs(cells.values), nan=-1.0)
    least = np.partition(size, -MOST, axis=None)[-MOST] if size.size > MOST else -1.0
    among = np.flatnonzero(size >= least)  # few, so that not all cells need to be put in order
    best = among[np.argsort(-size.ravel()[among], kind="stable")][:MOST]
    places = [np.unravel_index(index, size.shape) for index in best if size.flat[index] >= 0]
    return [
        html.Li(
            [
                dcc.Link(
                    formats.place(cells.layers[row], cells.experts[column]),
                    href=addresses.expert(run_id, cells.layers[row], cells.experts[column]),
                ),
                html.Span(formats.number(float(cells.values[row, column])), className="dim"),
            ]
        )
        for row, column in places
    ]


def _mean(quantity: str) -> str:
    note = "Averaged within a prompt first, then over prompts."
    return f"White is even use. {note}" if quantity == "lift" else note


def _rows(run_id: str, cells: Heatmap, flagged: set[tuple[int, int]]) -> list[dict[str, Any]]:
    return [
        {
            "layer": layer,
            "expert": expert,
            "value": None if math.isnan(value) else value,
            "flagged": "flagged" if (layer, expert) in flagged else "",
            "name": formats.place(layer, expert),
            "href": addresses.expert(run_id, layer, expert),
        }
        for layer, values in zip(cells.layers, cells.values.tolist(), strict=True)
        for expert, value in zip(cells.experts, values, strict=True)
    ]


def group_name(group: str) -> str:
    return PROMPTS.get(group) or f"topic {group.removeprefix('topic:')}"


def group_options(groups: Sequence[str], quantity: str) -> list[dict[str, Any]]:
    """All, harmful, benign, then each topic. A difference of harmful and benign exists only over all or in a topic."""
    usable = [group for group in PROMPTS if group in groups and (quantity != "difference" or group == "all")]
    topics = [group for group in groups if group.startswith("topic:") and "/" not in group]
    return [
        {"group": "Prompts", "items": [{"value": group, "label": PROMPTS[group]} for group in usable]},
        {"group": "Topics", "items": [{"value": group, "label": group.removeprefix("topic:")} for group in topics]},
    ]
