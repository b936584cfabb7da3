"""The layers below the routing heatmap: how far apart each one routes topics, how undecided, even and specialised it
is; and which of them stands out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components import Column, aria, dataset, info, interval, plain_table
from backend import formats

NAMES = {
    "coactivation": "Co-activation",
    "topic_specialisation": "Topic specialisation",
    "vocabulary_specialisation": "Vocabulary specialisation",
}


_MOST_NAMED = 4


@dataclass(frozen=True)
class Finding:
    """A sentence, and what it leaves open."""

    sentence: str
    doubt: str = ""


def layer_finding(per_layer: Sequence[Mapping[str, Any]]) -> Finding:
    """Which layer routes topics apart by most more than prompts of one topic, if its interval lies above that noise."""
    known = [row for row in per_layer if _known(row)]
    if not known:
        return Finding("Routing")
    apart = [row for row in known if _beyond(row, "low") > 0]
    if not apart:
        return Finding("No layer surely separates topics", "Every interval reaches down to the noise within a topic.")
    best = max(apart, key=lambda row: _beyond(row, "estimate"))
    shown = f"JSD {formats.interval(best['topic'])}, within a topic {formats.number(_noise(best))}"
    rivals = [row["layer"] for row in known if row is not best and _beyond(row, "high") >= _beyond(best, "low")]
    if not rivals:
        return Finding(f"Layer {best['layer']} separates topics most: {shown}")
    names = f"{len(rivals)} other layers" if len(rivals) > _MOST_NAMED else _listed(rivals)
    return Finding(f"Layer {best['layer']} separates topics most: {shown}", f"Not surely: {names} may do so as much.")


def _known(row: Mapping[str, Any]) -> bool:
    return all((row.get(name) or {}).get("estimate") is not None for name in ("topic", "within_topic")) and (
        row["topic"].get("low") is not None
    )


def _noise(row: Mapping[str, Any]) -> float:
    return float(row["within_topic"]["estimate"])


def _beyond(row: Mapping[str, Any], end: str) -> float:
    """By how much a layer's topic divergence, or an end of its interval, exceeds that within a topic."""
    return float(row["topic"][end]) - _noise(row)


def _listed(layers: Sequence[int]) -> str:
    *first, last = map(str, layers)
    return f"layers {', '.join(first)} and {last}" if first else f"layer {last}"


def layer_table(run_id: str, report: Mapping[str, Any]) -> Component:
    """One row for each MoE layer, and a line for what the report withholds."""
    per_layer: Sequence[Mapping[str, Any]] = report["routing"]["per_layer"]
    columns = [
        Column("Layer", numeric=True),
        Column(html.Span(["Topic JSD ", info("jsd_topic")]), numeric=True),
        Column(html.Span(["Safety JSD ", info("jsd_safety")]), numeric=True),
        Column(html.Span(["Router entropy ", info("entropy")]), numeric=True),
        Column(html.Span(["Effective experts ", info("effective_experts")]), numeric=True),
        Column(html.Span(["Vocabulary ", info("vocabulary_specialisation")]), numeric=True),
        Column(html.Span(["Most of one topic ", info("topic_specialisation")])),
        Column(html.Span(["Work together most ", info("coactivation")])),
    ]
    rows = [
        [
            _ring(row["layer"]),
            interval(row.get("topic")),
            interval(row.get("safety")),
            _bits(row.get("entropy")),
            formats.number(row.get("effective_experts")),
            _vocabulary(row.get("vocabulary_specialisation")),
            _topic(run_id, row),
            _pair(run_id, row),
        ]
        for row in per_layer
    ]
    table = plain_table(columns, rows, "Routing by layer", light=True)
    return html.Section([html.H2("Layers"), table, *_withheld(report)], className="stack layers")


def _ring(layer: int) -> Component:
    """Rings the layer in the picture above; static/js/routing.js keeps it in the address."""
    named = aria(label=f"Layer {layer}: show in the picture", pressed="false")
    return html.Button(str(layer), type="button", className="selects", **dataset(layer=str(layer)), **named)


def _bits(value: float | None) -> str:
    return formats.NONE if value is None else f"{formats.fixed(value, 2)} bits"


def _vocabulary(found: Mapping[str, Any] | None) -> Any:
    if not found:
        return formats.NONE
    return [
        formats.percent(found["mean"]),
        html.Span(f" against {formats.percent(found['baseline'])}", className="ci"),
    ]


def _topic(run_id: str, row: Mapping[str, Any]) -> Any:
    found = row.get("topic_specialisation")
    if not found:
        return formats.NONE
    lift = html.Span(f" {formats.number(found['lift'], 2)} ×", className="ci")
    return [_link(run_id, row["layer"], found["expert"]), f" {found['topic']}", lift]


def _pair(run_id: str, row: Mapping[str, Any]) -> Any:
    found = row.get("coactivation")
    if not found:
        return formats.NONE
    first, second = (_link(run_id, row["layer"], found[name]) for name in ("expert", "partner"))
    lift = html.Span(f" {formats.number(found['lift'], 2)} ×", className="ci")
    return [first, " → ", second, f" {formats.percent(found['probability'])}", lift]


def _link(run_id: str, layer: int, expert: int) -> Component:
    href = addresses.expert(run_id, layer, expert)
    return dcc.Link(formats.place(layer, expert), href=href, className="row-link")


def _withheld(report: Mapping[str, Any]) -> list[Component]:
    reasons = {item["what"].removeprefix("routing.per_layer."): item["why"] for item in report["withheld"]}
    return [
        html.P(f"{name} withheld: {reasons[key]}.", className="dim small")
        for key, name in NAMES.items()
        if key in reasons
    ]
