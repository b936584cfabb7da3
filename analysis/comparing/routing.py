"""Routing of two audits: ρ and the contrasts side by side, and how far apart the same experts are used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.comparing.change import Change, apart, read_interval
from analysis.statistics import Interval

Report = Mapping[str, Any]
Cells = npt.NDArray[np.float64]
GROUPS = ("all", "harmful", "benign")
LARGEST = 8


@dataclass(frozen=True)
class LayerChange:
    """One layer: its contrasts and ratio, mean |Δ selection frequency|, and the JSD of mean router probabilities."""

    layer: int
    contrasts: dict[str, Change]
    mean_abs_frequency: float | None
    jsd: float | None


@dataclass(frozen=True)
class GroupChange:
    """A group of prompts, over all layers and experts; None where one audit has no such prompts."""

    mean_abs_frequency: float | None
    jsd: float | None


@dataclass(frozen=True)
class CellChange:
    """One expert's selection frequency over all prompts' tokens."""

    layer: int
    expert: int
    a: float
    b: float
    difference: float


@dataclass(frozen=True)
class RoutingChange:
    """`topic_ratio` and `contrasts` are taken for independent. `per_layer`, `groups` and `largest` are empty where the
    two models have not the same layers and experts, and `withheld` says so.
    """

    topic_ratio: Change | None
    contrasts: dict[str, Change]
    per_layer: tuple[LayerChange, ...]
    groups: dict[str, GroupChange]
    largest: tuple[CellChange, ...]


def unlike(a: Report, b: Report) -> str | None:
    """Why an expert of A has no twin in B: what differs in the architecture. None where nothing does."""
    one, other = a["model"], b["model"]
    named = {"family": "family", "moe_layers": "MoE layers", "experts": "experts", "top_k": "experts per token"}
    found = [words for name, words in named.items() if one[name] != other[name]]
    if not found:
        return None
    return f"the models differ in {' and '.join(found)}, so that layers and experts of one are none of the other"


def compare_routing(a: Report, b: Report) -> RoutingChange:
    """Everything of routing that the two reports hold."""
    one, other = a["routing"], b["routing"]
    topic_ratio = _contrasts(one, other, ("topic_ratio",)).get("topic_ratio")
    contrasts = _contrasts(one["jsd"], other["jsd"], tuple(one["jsd"]))
    if unlike(a, b):
        return RoutingChange(topic_ratio, contrasts, (), {}, ())
    frequency = {group: _sides(a, b, "frequency", group) for group in GROUPS}
    probability = {group: _sides(a, b, "probability", group) for group in GROUPS}
    groups = {
        group: GroupChange(_mean_abs(*frequency[group]), _mean(_divergence(*probability[group]))) for group in GROUPS
    }
    return RoutingChange(
        topic_ratio,
        contrasts,
        _per_layer(a, b, frequency["all"], _divergence(*probability["all"])),
        groups,
        _largest(a["model"]["moe_layers"], *frequency["all"]),
    )


def _contrasts(a: Report, b: Report, names: Sequence[str]) -> dict[str, Change]:
    pairs = {name: (_interval(a.get(name)), _interval(b.get(name))) for name in names}
    return {name: apart(one, other) for name, (one, other) in pairs.items() if one and other}


def _interval(value: Report | None) -> Interval | None:
    """An interval that has an estimate."""
    interval = read_interval(value)
    return None if interval is None or interval.estimate is None else interval


def _sides(a: Report, b: Report, quantity: str, group: str) -> tuple[Cells, Cells]:
    return _cells(a, quantity, group), _cells(b, quantity, group)


def _cells(report: Report, quantity: str, group: str) -> Cells:
    """[layers, experts] of a report's experts; NaN where nothing was observed."""
    model = report["model"]
    rows = {layer: row for row, layer in enumerate(model["moe_layers"])}
    cells = np.full((len(rows), model["experts"]), np.nan)
    for expert in report["experts"]:
        value = expert[quantity].get(group)
        cells[rows[expert["layer"]], expert["expert"]] = np.nan if value is None else value
    return cells


def _divergence(a: Cells, b: Cells) -> Cells:
    """JSD in bits of each layer's two distributions, NaN where a layer has no numbers."""
    from scipy.special import rel_entr

    middle = (a + b) / 2
    nats: Cells = (rel_entr(a, middle) + rel_entr(b, middle)).sum(1) / 2
    bits: Cells = np.clip(nats / np.log(2), 0, 1)
    return bits


def _per_layer(a: Report, b: Report, frequency: tuple[Cells, Cells], divergence: Cells) -> tuple[LayerChange, ...]:
    names = (*a["routing"]["jsd"], "topic_ratio")
    layers = zip(a["routing"]["per_layer"], b["routing"]["per_layer"], strict=True)
    moved = np.abs(frequency[1] - frequency[0])
    return tuple(
        LayerChange(
            one["layer"],
            _contrasts(one, other, names),
            _mean(moved[row]),
            _number(divergence[row]),
        )
        for row, (one, other) in enumerate(layers)
    )


def _largest(layers: Sequence[int], a: Cells, b: Cells) -> tuple[CellChange, ...]:
    """The experts whose use changed most, largest first; none that did not change."""
    size = np.nan_to_num(np.abs(b - a), nan=0.0)
    best = np.argsort(-size, axis=None, kind="stable")[:LARGEST]
    places = [divmod(int(at), size.shape[1]) for at in best if size.flat[at] > 0]
    return tuple(
        CellChange(layers[row], expert, float(a[row, expert]), float(b[row, expert]), float((b - a)[row, expert]))
        for row, expert in places
    )


def _mean_abs(a: Cells, b: Cells) -> float | None:
    return _mean(np.abs(b - a))


def _mean(values: Cells) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
