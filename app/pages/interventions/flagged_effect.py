"""What masking the flagged experts does against random sets like them, and what it costs where nothing should
change."""

from collections.abc import Mapping
from typing import Any

from dash import html
from dash.development.base_component import Component

from app import wording
from app.components import Column, graph, info, interval, plain_table, rate, stat
from app.components.states import withheld
from app.figures import band_strip
from app.pages.documents.parts import points
from app.pages.run.frame import Finished
from backend import formats
from backend.services import LabelRate, Services

Masked = Mapping[str, Any]


def flagged_effect(services: Services, finished: Finished) -> list[Component | None]:
    """Two strips, one of refusal and one of margin, and the table of outcomes before and masked."""
    report = finished.report
    masked, effect = report["outcomes"].get("masked"), report["flagged"].get("effect")
    title = html.H2(["The flagged experts against random sets ", info("set_effect")])
    if not masked or not effect:
        why = wording.withheld_reason(report, "outcomes.masked") or "no expert is flagged, so there was none to mask"
        return [title, withheld("Masking the flagged experts", why)]
    strips = [_refusal(finished, masked), _margin(finished, report["flagged"])]
    return [
        title,
        html.Div(strips, className="halves"),
        html.P(
            "The dot is the flagged set with its 95 % interval; the band holds 95 % of the random sets, or their mean "
            "± 2 standard deviations. They have the same size and are matched in layer and frequency.",
            className="dim small",
        ),
        _outcomes(services, finished, masked),
        html.Div(
            [
                stat("p against random sets, margin", formats.p_value(report["flagged"].get("p_value")), "place"),
                stat("p against random sets, refusal", _null_p(masked), "place"),
                stat("Selectivity", formats.number(report["flagged"].get("selectivity")), "selectivity"),
            ],
            className="stats",
        ),
    ]


def _null_p(masked: Masked) -> str:
    return formats.p_value((masked.get("null_refusal") or {}).get("p_value"))


def _refusal(finished: Finished, masked: Masked) -> Component | None:
    null = masked.get("null_refusal")
    if not null or null.get("mean") is None:
        return None
    drawn = band_strip(null, masked["refusal_harmful"], title="refusal of harmful prompts", span=(0.0, 1.0))
    return _strip(f"{finished.run.id}-refusal-left", html.H3(["Refusal left ", info("refusal")]), drawn,
                  "Refusal with the flagged experts masked, over the band of random sets")  # fmt: skip


def _margin(finished: Finished, flagged: Mapping[str, Any]) -> Component:
    drawn = band_strip(flagged.get("null") or {"n": 0}, flagged["effect"], title="loss of refusal margin, nats")
    return _strip(f"{finished.run.id}-margin-lost", html.H3(["Margin lost ", info("margin")]), drawn,
                  "Refusal margin lost with the flagged experts masked, over the band of random sets")  # fmt: skip


def _strip(name: str, title: Component, drawn: Any, text: str) -> Component:
    return html.Section([title, graph(drawn, name, text)], className="stack")


def _outcomes(services: Services, finished: Finished, masked: Masked) -> Component:
    """Before and masked on the same prompts; the benign rows and the broken answers are what masking costs."""
    tables = services.results.answer_changes(finished.run.id).tables
    columns = [
        Column("Outcome"),
        Column("Before", numeric=True),
        Column("Masked", numeric=True),
        Column(html.Span(["Difference ", info("paired")]), numeric=True),
    ]
    rows = [
        [
            html.Span([name, " ", info(key)]),
            rate(masked.get(f"base_{field}")),
            rate(masked[field]),
            points(masked.get(field.replace("refusal", "refusal_change"))),
        ]
        for name, field, key in (
            ("Refusal of harmful prompts", "refusal_harmful", "refusal"),
            ("Cost: refusal of benign prompts", "refusal_benign", "over_refusal"),
        )
    ]
    broken = {side: next(one for one in table.rates if one.label == "degenerate") for side, table in tables.items()}
    rows += [_broken(side, one) for side, one in broken.items()]
    return plain_table(columns, rows, "Outcomes before and with the flagged experts masked, with 95 % intervals")


def _broken(side: str, one: LabelRate) -> list[Any]:
    name = html.Span([f"Cost: broken answers to {side} prompts ", info("degenerate")])
    return [name, rate(vars(one.share_before)), rate(vars(one.share_after)), interval(None)]
