"""An effect as a dot with its interval over the grey band of matched random experts, drawn with plain boxes."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from app.components.aria import aria
from backend import formats

Span = tuple[float, float]
"""From and to, in the effect's unit."""


def strip_geometry(
    effect: Mapping[str, Any] | None, null: Mapping[str, Any] | None, span: Span
) -> dict[str, float | None] | None:
    """Where everything stands on a strip that reaches over `span`, in percent of its width; None without an effect."""
    if not effect or effect.get("estimate") is None:
        return None
    band = (null["mean"] - 2 * null["sd"], null["mean"] + 2 * null["sd"]) if null else (None, None)
    ends = {"null_from": band[0], "null_to": band[1], "from": effect.get("low"), "to": effect.get("high")}
    places = {**ends, "dot": effect["estimate"], "zero": 0.0}
    return {name: None if value is None else _percent(float(value), span) for name, value in places.items()}


def effect_strip(
    effect: Mapping[str, Any] | None, null: Mapping[str, Any] | None, span: Span, flagged: bool = False
) -> Component:
    """The strip on a common `span`, so that strips below each other can be compared.

    The band is the null's mean ± 2 standard deviations. Without an estimate a dash says that there is none.
    """
    at = strip_geometry(effect, null, span)
    if at is None:
        return html.Span(formats.NONE, className="dim")
    parts: list[Component | None] = [html.Span(className="strip-zero", style={"left": f"{at['zero']}%"})]
    parts += [_box("strip-null", at["null_from"], at["null_to"]), _box("strip-interval", at["from"], at["to"])]
    parts.append(html.Span(className="strip-dot", style={"left": f"{at['dot']}%"}))
    text = f"Effect {formats.interval(effect)}"
    if null is not None:
        text += f"; matched random experts {formats.number(null['mean'])} ± {formats.number(2 * null['sd'])}"
    name = "strip flagged-strip" if flagged else "strip"
    return html.Span(parts, className=name, role="img", title=text, **aria(label=text))


def effect_span(effects: Sequence[Mapping[str, Any] | None], nulls: Sequence[Mapping[str, Any] | None]) -> Span:
    """The common range of effect strips: everything that is drawn, zero included."""
    ends = [0.0]
    for effect in effects:
        ends += [float(effect[end]) for end in ("estimate", "low", "high") if effect and effect.get(end) is not None]
    for null in nulls:
        ends += [null["mean"] - 2 * null["sd"], null["mean"] + 2 * null["sd"]] if null else []
    room = 0.04 * (max(ends) - min(ends) or 1.0)
    return min(ends) - room, max(ends) + room


def _percent(value: float, span: Span) -> float:
    low, high = span
    share = (value - low) / (high - low) if high > low else 0.5
    return round(100 * min(1.0, max(0.0, share)), 2)


def _box(name: str, left: float | None, right: float | None) -> Component | None:
    if left is None or right is None:
        return None
    return html.Span(className=name, style={"left": f"{left}%", "width": f"{max(right - left, 0.6):.2f}%"})
