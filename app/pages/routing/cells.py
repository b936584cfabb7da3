"""One heatmap of a run in every form that the routing page shows: picture, heading, caption, largest cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dash import dcc, html
from dash.development.base_component import Component
from plotly.graph_objects import Figure

from app import addresses, wording
from app.components import dataset
from app.figures import Colours, routing_picture
from app.quantities import QUANTITIES
from app.selection import Selection
from backend import formats
from backend.services import Heatmap, Services

MOST = 8
NOTHING = "none"
"""What the rail calls the second group where there is none."""
VIEWS = ("picture", "topics", "table")
UNITS = {"frequency": "", "probability": "", "lift": "× even use", "difference": ""}
PROMPTS = {
    "all": "All prompts",
    "harmful": "Harmful prompts",
    "benign": "Benign prompts",
    "jailbreak": "Jailbreak prompts",
}
ORDERS = {
    "index": "by index",
    "topic": "by the topic that they are used for most",
    "effect": "by effect on refusal, largest first",
}


@dataclass(frozen=True)
class Choice:
    """What the rail is set to. `minus` is the group that is subtracted; None for none."""

    quantity: str = "frequency"
    group: str = "all"
    window: str = "prompt"
    view: str = "picture"
    minus: str | None = None
    order: str = "index"

    @classmethod
    def of(cls, query: Mapping[str, str], topics: Sequence[str] = ()) -> "Choice":
        """Out of an address. Without a group of its own it begins with the selected topic and label."""
        named = {name: query[name] for name in ("quantity", "group", "window", "order") if name in query}
        signed = named.get("quantity") == "difference"
        group = named.pop("group", None) or _selected_group(Selection.of(query), topics, signed)
        view = query.get("view")
        return cls(
            **named,
            group=group,
            view=view if view in VIEWS else "picture",
            minus=None if signed else query.get("minus") or None,
        )

    @property
    def cells(self) -> tuple[str, str, str, str | None]:
        """Quantity, group, window and the group subtracted, as `Results.heatmap` takes them.

        Beside a picture of each topic less a group, that group is shown as it is, not less itself.
        """
        itself = self.view == "topics" and self.minus == self.group
        return self.quantity, self.group, self.window, None if itself else self.minus


def _selected_group(selected: Selection, topics: Sequence[str], signed: bool) -> str:
    label = None if signed else selected.label
    if selected.topic in topics:
        return f"topic:{selected.topic}/{label}" if label else f"topic:{selected.topic}"
    return label or "all"


@dataclass(frozen=True)
class Drawn:
    """A picture with its heading and caption, and the cells as a file and by size."""

    figure: Figure
    title: str
    caption: str
    csv: str
    largest: list[Component]


def draw(
    services: Services, run_id: str, cells: Heatmap, flagged: Sequence[Sequence[int]], order: str = "index"
) -> Drawn:
    """Picture, heading and caption of one heatmap, each layer's experts in `order`."""
    places = [(int(layer), int(expert)) for layer, expert in flagged]
    placed = services.results.expert_order(run_id, order)
    beside = services.results.margins(run_id, cells, placed)
    figure = routing_picture(
        cells.values,
        cells.layers,
        load=beside.load,
        entropy=beside.entropy,
        colours=colours(cells),
        label=_label(cells),
        unit=UNITS[cells.quantity],
        flagged=places,
        order=placed,
    )
    query = {"quantity": cells.quantity, "group": cells.group, "window": cells.window, "minus": cells.minus}
    return Drawn(
        figure,
        title(cells),
        _caption(cells, order, bool(places)),
        addresses.download(run_id, "heatmap.csv", **query),
        _largest(run_id, cells),
    )


def colours(cells: Heatmap) -> Colours:
    """Vermillion and blue where the sign means harmful and benign, colours without such a meaning elsewhere."""
    if cells.quantity == "difference":
        return Colours("difference", ("benign", "harmful"))
    if cells.minus is None:
        return Colours(cells.quantity)
    ends = (short_name(cells.minus), short_name(cells.group))
    return Colours({"harmful": "difference", "benign": "inverse", None: "change"}[cells.favours], ends)


def _label(cells: Heatmap) -> str:
    name = QUANTITIES[cells.quantity].name
    return f"Δ {name.lower()}" if cells.minus else name.lower()


def title(cells: Heatmap) -> str:
    name = QUANTITIES[cells.quantity].name
    if cells.minus:
        return f"{name}, {_lower(cells.group)} − {_lower(cells.minus)}"
    return f"{name}, {_lower(cells.group)}"


def _caption(cells: Heatmap, order: str, flagged: bool) -> str:
    size = f"{formats.plural(len(cells.layers), 'MoE layer')} × {len(cells.experts)} experts"
    parts = [
        f"{size}, {ORDERS[order]}; {wording.WINDOW_NOTES[cells.window]}.",
        mean_note(cells.quantity, cells.minus),
        "Right: router entropy over all prompts. Below: mean over layers.",
    ]
    if cells.minus:
        parts.append(f"Above 0: more in {short_name(cells.group)}; below: more in {short_name(cells.minus)}.")
    if np.isnan(cells.values).any():
        parts.append("Hatched: nothing was observed.")
    if flagged:
        parts.append("Outlined: flagged experts.")
    return " ".join(parts)


def mean_note(quantity: str, minus: str | None = None) -> str:
    note = "Averaged within a prompt first, then over prompts."
    return f"White is even use. {note}" if quantity == "lift" and not minus else note


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
            ],
            **dataset(place=f"{cells.layers[row]}.{cells.experts[column]}"),
        )
        for row, column in places
    ]


def group_name(group: str) -> str:
    topic, _, label = group.removeprefix("topic:").partition("/")
    return PROMPTS.get(group) or f"topic {topic}" + (f", {label}" if label else "")


def short_name(group: str) -> str:
    """The group in a word or two, for the ends of a colour scale: "banking", "harmful", "banking, harmful"."""
    return group if group in PROMPTS else group_name(group).removeprefix("topic ")


def _lower(group: str) -> str:
    return group_name(group).lower() if group in PROMPTS else group_name(group)


def group_options(groups: Sequence[str], quantity: str) -> list[dict[str, Any]]:
    """All, harmful, benign, then each topic, then a topic's harmful and benign prompts. A difference of harmful and
    benign exists only over all or in a topic."""
    usable = [group for group in PROMPTS if group in groups and (quantity != "difference" or group == "all")]
    topics = [group for group in groups if group.startswith("topic:")]
    whole = [group for group in topics if not group.endswith(("/harmful", "/benign"))]
    halves = [group for group in topics if group not in whole and quantity != "difference"]
    return [
        {"group": "Prompts", "items": [{"value": group, "label": PROMPTS[group]} for group in usable]},
        {"group": "Topics", "items": [{"value": group, "label": short_name(group)} for group in whole]},
        *(
            [{"group": "Topics by label", "items": [{"value": g, "label": short_name(g)} for g in halves]}]
            if halves
            else []
        ),
    ]
