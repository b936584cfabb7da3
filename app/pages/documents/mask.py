"""A run of kind mask: what becomes of refusal when named experts are taken out, beside random sets like them."""

from collections.abc import Mapping
from typing import Any

from dash import html
from dash.development.base_component import Component

from app.components import Column, graph, info, interval, plain_table
from app.components.states import withheld
from app.figures import band_strip
from app.pages.documents.parts import (
    asked,
    change_table,
    doubts,
    experts_named,
    guard,
    headline,
    made_with,
    section,
    utility_table,
)
from app.pages.run.frame import Documented, document_view
from app.router import View, Visit
from backend import formats
from backend.services import Services
from backend.services.run_parameters import PARAMETERS, Choice

LIMITS = (
    "Nothing was searched for and no prompts were held back. Whether these are the experts, an audit says.",
    "These prompts, this judge, this way of masking: another wording, language or attack may use other experts.",
)


def show(services: Services, visit: Visit) -> View:
    return document_view(services, visit, _mask)


def _mask(found: Documented) -> Component:
    document = found.document
    settings = document["settings"]
    own = (
        ("Experts", experts_named(found.run, document["experts"])),
        ("Masked", f"{meaning('mode', settings['mode'])} {meaning('window', settings['window'])}"),
    )
    return html.Div(
        [
            headline(found),
            section(
                "Before and after, on the same prompts",
                change_table(document["outcomes"]),
                utility_table(document.get("utility")),
            ),
            _controls(found),
            html.Div([guard(document["guard"]), asked(found, *own)], className="halves"),
            doubts(document, *LIMITS),
            made_with(document),
        ],
        className="stack-3",
    )


def meaning(parameter: str, value: str) -> str:
    """What a choice of the form means."""
    known = PARAMETERS["mask"][parameter]
    return known.allowed.get(value, value) if isinstance(known, Choice) else value


def _controls(found: Documented) -> Component:
    outcomes, margin = found.document["outcomes"], found.document["margin"]
    null = outcomes["refusal_harmful"]["null"]
    strips: list[Any] = []
    if null["n"]:
        observed = {"estimate": null["observed"]}
        strips.append(
            _strip(found, "refusal", "Refusal left", null, observed, "refusal of harmful prompts", span=(0.0, 1.0))
        )
    if margin is not None and margin["null"]["n"]:
        strips.append(_strip(found, "margin", "Margin lost", margin["null"], margin["loss"], "loss of margin, nats"))
    if not strips:
        reason = next((one["why"] for one in found.document["withheld"]), "none was measured")
        return section("Against random sets", withheld("Random sets", reason))
    note = "The band holds 95 % of the random sets, which have the same size and are matched in layer and frequency."
    title = html.Span(["Against random sets like them ", info("place")])
    return section(
        title,
        html.Div(strips, className="halves"),
        html.P(note, className="dim small"),
        _table(outcomes, margin, found.document["prompts"]["harmful"]),
    )


def _strip(
    found: Documented,
    name: str,
    title: str,
    band: Mapping[str, Any],
    observed: Mapping[str, Any],
    axis: str,
    span: tuple[float, float] | None = None,
) -> Component:
    drawn = band_strip(band, observed, title=axis, span=span)
    text = f"{title} with these experts masked, over the band of random sets; the table has the numbers"
    caption = f"{formats.plural(band['n'], 'random set')}; the line in the band is their mean."
    return html.Section(
        [
            html.H3([title, " ", info(name)]),
            graph(drawn, f"{found.run.id}-{name}", text),
            html.P(caption, className="dim small"),
        ],
        className="stack",
    )


def _table(outcomes: Mapping[str, Any], margin: Mapping[str, Any] | None, harmful: int) -> Component:
    null = outcomes["refusal_harmful"]["null"]
    columns = [
        Column("Measure"),
        Column("These experts", numeric=True),
        Column("Random sets", numeric=True),
        Column("95 % of them", numeric=True),
        Column("Sets", numeric=True),
        Column("Prompts", numeric=True),
        Column(html.Span(["p ", info("place")]), numeric=True),
    ]
    rows: list[list[Any]] = []
    if null["n"]:
        band = f"{formats.percent(null['low'])} to {formats.percent(null['high'])}"
        rows.append(
            [
                html.Span(["Refusal left ", info("refusal")]),
                formats.percent(null["observed"]),
                formats.percent(null["mean"]),
                band,
                formats.count(null["n"]),
                formats.count(null["prompts"]),
                formats.p_value(null["p_value"]),
            ]
        )
    if margin is not None and margin["null"]["n"]:
        of = margin["null"]
        rows.append(
            [
                html.Span(["Margin lost, nats ", info("margin")]),
                interval(margin["loss"]),
                formats.fixed(of["mean"], 2),
                f"{formats.fixed(of['low'], 2)} to {formats.fixed(of['high'], 2)}",
                formats.count(of["n"]),
                formats.count(harmful),
                formats.p_value(margin["p_value"]),
            ]
        )
    return plain_table(columns, rows, "These experts and random sets like them")
