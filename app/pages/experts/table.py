"""The table of experts: its columns, and the rows of the part that is on show. The page `experts` puts it up and asks
for rows as somebody scrolls, sorts and filters; which rows those are is the service's business."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app import addresses, wording
from app.components.effect import strip_geometry
from backend import formats
from backend.services import ExpertTable, InputError, Order

BLOCK = 60
"""Rows that are fetched together."""
_AT_ONCE = {"filterParams": {"debounceMs": 20}}
"""Milliseconds after a key, about what the rows take, which are asked for at once; the grid's own are 500."""
_FILTER = {"filter": "agNumberColumnFilter", **_AT_ONCE}
NUMBER = {**_FILTER, "type": "rightAligned"}
SHARE = {"valueFormatter": {"function": "share(params.value)"}}
TOPIC_LIFT = "lift_topic"
_RIGHT = "ag-right-aligned-header"
"""A class of one's own takes the place of the one that the type of a column gives its header."""
_MANY = 200
"""Experts, from whom on the table scrolls inside the page."""
Column = dict[str, Any]


def columns(run_id: str, table: ExpertTable, criteria: Sequence[str], topic: str | None, sort: str) -> list[Column]:
    """`topic` adds the lift on its prompts; `sort` is an order such as "q_value.desc"."""
    lift: list[Column] = [] if topic is None else [_topic_lift(topic)]
    found = [
        *_first(run_id),
        *_evidence(),
        *lift,
        *(_criterion(table, name) for name in criteria),
        {
            "field": "harmful",
            "headerName": "f harmful",
            **NUMBER,
            **SHARE,
            "width": 108,
            "headerClass": f"{_RIGHT} harmful",
        },
        {
            "field": "benign",
            "headerName": "f benign",
            **NUMBER,
            **SHARE,
            "width": 104,
            "headerClass": f"{_RIGHT} benign",
        },
    ]
    field, _, direction = sort.partition(".")
    return [
        {**one, "sort": direction} if one["field"] == field and direction in ("asc", "desc") else one for one in found
    ]


def _first(run_id: str) -> list[Column]:
    return [
        {"field": "mark", "headerName": "✓", "cellRenderer": "Mark", "width": 44, "minWidth": 44, "pinned": "left",
         "sortable": False, "filter": False, "resizable": False, "headerTooltip": "Selected in every view of this run"},
        {"field": "rank", **NUMBER, "filter": False, "width": 84, "pinned": "left"},
        {"field": "name", "headerName": "Expert", "cellRenderer": "Place", "filter": "agTextColumnFilter", **_AT_ONCE,
         "cellRendererParams": {"base": addresses.run(run_id, "experts")}, "width": 112, "pinned": "left"},
        {"field": "layer", **NUMBER, "width": 88},
    ]  # fmt: skip


def _evidence() -> list[Column]:
    names = json.dumps([name for name, _ in wording.LADDER])
    ladder = {
        "valueFormatter": {"function": f"ladder(params, {names})"},
        "tooltipValueGetter": {"function": f"ladderWords(params, {names})"},
        "cellClass": {"function": f"ladderSteps(params, {names})"},
    }
    effect = {
        "valueFormatter": {"function": "effect(params)"},
        "cellStyle": {"function": "effectStrip(params)"},
        "cellClass": {"function": "effectKind(params)"},
    }
    return [
        {"field": "level", "headerName": "Evidence", **ladder, **_FILTER, "width": 120},
        {"field": "effect", "headerName": "Effect, nats", **effect, **_FILTER, "width": 316},
        {"field": "q_value", "headerName": "q", **NUMBER, **SHARE, "width": 88},
        {"field": "stability", **NUMBER, **SHARE, "width": 100},
    ]  # fmt: skip


def _topic_lift(topic: str) -> Column:
    times = {"valueFormatter": {"function": "times(params.value)"}}
    return {
        "field": TOPIC_LIFT,
        "headerName": f"lift, {topic}",
        **NUMBER,
        **times,
        "width": 132,
        "headerClass": f"{_RIGHT} topic",
    }


def _criterion(table: ExpertTable, name: str) -> Column:
    """A score with its rank, over a bar on the criterion's own scale, from its least to its greatest score and 0."""
    scores = table.columns[f"score_{name}"]
    least, most = (float(end) for end in (np.nanmin(scores, initial=0.0), np.nanmax(scores, initial=0.0)))
    return {
        "field": f"score_{name}",
        "headerName": name.replace("_", " "),
        **NUMBER,
        "valueFormatter": {"function": f"score(params, 'rank_{name}')"},
        "cellStyle": {"function": f"scoreBar(params, {least!r}, {most!r})"},
        "cellClass": ["ag-right-aligned-cell", "score-cell"],
        "width": 160,
    }


def rows(
    table: ExpertTable, places: npt.NDArray[np.intp], criteria: Sequence[str], lift: npt.NDArray[np.float64] | None
) -> list[dict[str, Any]]:
    """The experts at `places` of the report's order, as the cell renderers read them. What an expert lacks is left out,
    and with it the same words a hundred times.
    """
    names = [
        *("rank", "layer", "level", "rungs", "flagged", "q_value", "stability", "harmful", "benign"),
        *("effect", "effect_low", "effect_high", "null_mean", "null_sd"),
        *(f"{part}_{name}" for name in criteria for part in ("score", "rank")),
    ]
    cut = {name: table.columns[name][places].tolist() for name in names}
    if lift is not None:
        cut[TOPIC_LIFT] = lift[places].tolist()
    found = [dict(zip(cut, values, strict=True)) for values in zip(*cut.values(), strict=True)]
    return [_row(table, int(place), row) for place, row in zip(places, found, strict=True)]


def _row(table: ExpertTable, place: int, row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if value == value}
    effect = {end: kept.pop(f"effect_{end}", None) for end in ("low", "high")} | {"estimate": kept.get("effect")}
    mean, sd = kept.pop("null_mean", None), kept.pop("null_sd", None)
    kept["name"] = table.names[place]
    if effect["estimate"] is not None:
        null = None if mean is None else {"mean": mean, "sd": sd}
        kept["effect_text"] = str(formats.interval(effect))
        kept["strip"] = strip_geometry(effect, null, padded(table.effect_range))
    return kept


def padded(span: tuple[float, float]) -> tuple[float, float]:
    """A little more than what is drawn, so that no dot is cut at the edge."""
    room = 0.04 * (span[1] - span[0] or 1.0)
    return span[0] - room, span[1] + room


def height(experts: int) -> str:
    """As tall as its rows where they are few, else most of the window."""
    whole = 36 * (experts + 1) + 20
    return f"min(72vh, {whole}px)" if experts <= _MANY else "72vh"


def orders(model: Sequence[Any] | None) -> list[Order]:
    """The grid's sort model; unsorted is the audit's ranking. Raises InputError for what is none."""
    return [_order(one) for one in model or ()]


def _order(one: Any) -> Order:
    found = (one.get("colId"), one.get("sort")) if isinstance(one, Mapping) else (None, None)
    match found:
        case (str(column), "asc" | "desc" as direction):
            return Order(column, direction == "desc")
    raise InputError(f'the order has {one!r}: expected {{"colId": COLUMN, "sort": "asc" or "desc"}}', field="sort")


def filters(text: str | None) -> dict[str, Any]:
    """The grid's filter model out of the address; one that is not JSON filters nothing."""
    try:
        model = json.loads(text or "{}")
    except ValueError:
        return {}
    return model if isinstance(model, dict) else {}
