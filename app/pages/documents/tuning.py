"""/ui/runs/{id}/tuning: what tuning named experts does, and where they stand among control sets of the same budget."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from app import addresses
from app.components import Column, aria, graph, icon, info, interval, plain_table, stat
from app.figures import control_strips, drift_scatter
from app.pages.documents.parts import (
    Document,
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
from app.pages.interventions.answer_matrix import answer_matrices
from app.pages.models.adapter_inspector import inspection
from app.pages.run.frame import Documented, document_view
from app.router import Page, View, Visit
from backend import formats
from backend.services import Services

DIRECTIONS = {
    "harden": "harden: safe answers to harmful prompts, helpful ones to benign prompts",
    "stress": "stress: how little tuning takes refusal away; the update never left memory",
}
AXIS = "refusal after tuning"
LIMITS = (
    "Tuning shows that a behaviour can be changed there, not that it lives there: that, an audit's interventions show.",
)


def show(services: Services, visit: Visit) -> View:
    return document_view(services, visit, lambda found: _tuning(services, found))


PAGE = Page("/runs/{run_id}/tuning", show)


def _tuning(services: Services, found: Documented) -> Component:
    document = found.document
    return html.Div(
        [
            headline(found, also=document["verdict"].get("localises")),
            _trust(document),
            section(
                "Before and after, on prompts that were not tuned on",
                change_table(document["outcomes"]),
                _answers(services, found),
                utility_table(document["outcomes"].get("utility")),
            ),
            _controls(found),
            _drift(found),
            html.Div([guard(document["guard"]), asked(found, *_own(found))], className="halves"),
            section("What was trained", _budget(document)),
            _adapter(services, found),
            doubts(document, *LIMITS),
            made_with(document),
        ],
        className="stack-3",
    )


def _own(found: Documented) -> list[tuple[str, Any]]:
    document = found.document
    recipe = document["recipe"]
    moves = "The routers move too." if recipe["moves_routers"] else "The routers do not move."
    facts: list[tuple[str, Any]] = [
        ("Experts", experts_named(found.run, document["experts"])),
        ("Direction", DIRECTIONS.get(document["direction"], document["direction"])),
        ("Recipe", f"{recipe['name']}: {recipe['title']}. {moves}"),
    ]
    if document.get("record"):
        record = document["record"]
        facts.append(("Permitted", f"{record['actor']} as {record['role']}, record {record['id']} of the audit log"))
    return facts


def _trust(document: Document) -> Component:
    """What it did and whether to rely on it, in four numbers."""
    refusal, benign = (document["outcomes"].get(name) for name in ("refusal_harmful", "refusal_benign"))
    matched = next((kind for kind in document["controls"]["kinds"] if kind["kind"] == "matched"), None)
    return html.Div(
        [
            stat("Refusal of harmful prompts", _moved(refusal), "refusal", "before → after"),
            stat("Refusal of benign prompts", _moved(benign), "over_refusal", "the cost, before → after"),
            stat("Random sets that do as much", _as_much(matched), "place", "few: the chosen experts stand out"),
            stat("Still the same model", _still(document["guard"]), "guard", "as far as was measured"),
        ],
        className="stats",
    )


def _moved(rates: Document | None) -> str:
    if not rates:
        return formats.NONE
    return " → ".join(formats.percent(rates[side]["estimate"]) for side in ("before", "after"))


def _as_much(kind: Document | None) -> str:
    if not kind or not kind["n"] or kind.get("as_extreme") is None:
        return formats.NONE
    return f"{kind['as_extreme']} of {kind['n']}"


def _still(found: Document | None) -> str:
    if not found:
        return "not measured"
    return "no" if found["faults"] else "yes" if found.get("passed") else "not known"


def _answers(services: Services, found: Documented) -> Component | None:
    """Labels before and after; None for a run from before they were kept."""
    tables = services.documents.answer_tables(found.run.id)
    if tables is None:
        return None
    note = "Rows: the untouched model; columns: the same prompts after tuning."
    return html.Div([html.H3("Answers by label"), answer_matrices(tables, note, after="tuned")], className="stack-2")


def _budget(document: Document) -> Component:
    update, training = document["update"], document["training"]
    parameters = formats.count(update["parameters"])
    return html.Div(
        [
            stat("Trainable share", _share(update["share"]), "trainable", f"{parameters} parameters"),
            stat("Rank", str(update.get("rank") or formats.NONE), "rank"),
            stat("Steps", formats.count(training["steps"]), "steps", formats.seconds(training.get("seconds"))),
            stat("Loss, first to last", _loss(training.get("loss") or []), "tuning_loss"),
        ],
        className="stats",
    )


def _share(share: float) -> str:
    """A share that is often far below 1 %, in two figures."""
    return f"{formats.number(100 * share, 2)} %"


def _loss(loss: Sequence[float]) -> str:
    return f"{formats.number(loss[0], 2)} → {formats.number(loss[-1], 2)}" if loss else formats.NONE


def _controls(found: Documented) -> Component:
    controls = found.document["controls"]
    kinds, chosen = controls["kinds"], controls["chosen"]
    measure = str(controls["measure"])
    asked_of = found.document["prompts"]["measured_on"]["harmful"]
    note = (
        f"Each mark is a set of experts, or another part of the model, tuned in the same way with about as many "
        f"parameters and asked the same {formats.plural(asked_of, 'harmful prompt')}. The line is the chosen set."
    )
    return section(
        html.Span(["The chosen experts among their controls ", info("place")]),
        graph(
            control_strips(chosen, kinds, title=AXIS),
            f"{found.run.id}-controls",
            "Every tuned set by kind of control, beside the chosen experts; the table has the numbers",
        ),
        html.P(note, className="dim small"),
        _kinds(chosen, kinds, measure.capitalize()),
        html.Details([html.Summary("Every set in numbers"), _sets(chosen, kinds)], className="more"),
    )


def _kinds(chosen: Document, kinds: Sequence[Document], name: str) -> Component:
    columns = [
        Column("Tuned"),
        Column("Sets", numeric=True),
        Column("Parameters", numeric=True),
        Column(f"{name}, mean", numeric=True),
        Column("Do as much", numeric=True),
        Column(html.Span(["p ", info("place")]), numeric=True),
    ]
    first: list[Any] = [
        html.Strong("The chosen experts"),
        "1",
        formats.count(chosen["parameters"]),
        formats.percent(chosen["value"]),
        formats.NONE,
        formats.NONE,
    ]
    return plain_table(columns, [first, *(_kind(kind) for kind in kinds)], "The chosen experts and kinds of controls")


def _kind(kind: Document) -> list[Any]:
    sets = kind.get("sets") or []
    sizes = sorted({one["parameters"] for one in sets if one.get("parameters")})
    size = (
        formats.NONE
        if not sizes
        else formats.count(sizes[0])
        if len(sizes) == 1
        else f"{formats.count(sizes[0])} to {formats.count(sizes[-1])}"
    )
    as_extreme = kind.get("as_extreme")
    return [
        kind["title"],
        formats.count(kind["n"]),
        size,
        formats.percent(kind.get("mean")),
        formats.NONE if as_extreme is None or not kind["n"] else f"{as_extreme} of {kind['n']}",
        formats.p_value(kind.get("p_value")),
    ]


def _sets(chosen: Document, kinds: Sequence[Document]) -> Component:
    columns = [
        Column("Kind"),
        Column("Set"),
        Column("Refusal of harmful", numeric=True),
        Column("Refusal of benign", numeric=True),
        Column("Degenerate", numeric=True),
        Column(html.Span(["Drift, JSD ", info("drift")]), numeric=True),
        Column(html.Span(["Benign KL, nats ", info("benign_kl")]), numeric=True),
        Column("Guard"),
    ]
    everything = [("The chosen experts", chosen), *((kind["title"], one) for kind in kinds for one in kind["sets"])]
    return plain_table(columns, [_set(title, one) for title, one in everything], "Every tuned set", "table small")


def _set(title: str, one: Document) -> list[Any]:
    if one.get("failed"):
        return [title, html.Span([one["name"], f": {one['failed']}"]), *[formats.NONE] * 6]
    passed = one.get("guard_passed")
    return [
        title,
        one["name"],
        formats.percent(one.get("refusal_harmful")),
        formats.percent(one.get("refusal_benign")),
        formats.percent(one.get("degenerate")),
        formats.number(one.get("drift_jsd")),
        formats.number(one.get("benign_kl")),
        formats.NONE if passed is None else "passed" if passed else "failed",
    ]


def _drift(found: Documented) -> Component:
    document = found.document
    controls, drift = document["controls"], document.get("drift") or {}
    known = [controls["chosen"], *(one for kind in controls["kinds"] for one in kind.get("sets") or [])]
    title = html.Span(["Drift of routing against effect ", info("drift")])
    if not any(one.get("drift_jsd") is not None for one in known):
        return section(title, html.P("Drift was not measured in this run.", className="dim"))
    yardstick = _yardstick(drift)
    note = "Dotted: how differently a harmful prompt and its benign twin are routed by the untouched model."
    return section(
        title,
        graph(
            drift_scatter(
                controls["chosen"],
                controls["kinds"],
                effect=AXIS,
                yardstick=(yardstick or {}).get("estimate"),
            ),
            f"{found.run.id}-drift",
            "Drift of routing against effect for every tuned set; the table of every set has the numbers",
        ),
        html.P(note, className="dim small") if yardstick else None,
        html.Div(
            [
                stat("Drift of the chosen set, JSD", _drifted(document, drift), "drift"),
                stat("Matched pairs, JSD", interval(yardstick), "yardstick") if yardstick else None,
            ],
            className="stats",
        ),
    )


def _drifted(document: Document, drift: Document) -> Any:
    """The interval where the document has one, else the number."""
    whole = drift.get("all") or drift
    found = whole.get("jsd") if isinstance(whole, Mapping) else None
    if isinstance(found, Mapping):
        return interval(found)
    return formats.number(document["controls"]["chosen"].get("drift_jsd"))


def _yardstick(drift: Document) -> Document | None:
    """The drift between matched harmful and benign prompts."""
    pairs = drift.get("yardstick") or drift.get("pairs")
    found = pairs.get("jsd") if isinstance(pairs, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _adapter(services: Services, found: Documented) -> Component:
    recipe, name = found.document["recipe"], "adapter.zip"
    if found.document["direction"] == "stress" or not services.documents.has_file(found.run.id, name):
        why = recipe.get("not_exported") or "it is no longer in the data folder"
        return section("Adapter", html.P(f"There is none to take away: {why}.", className="dim"))
    return section(
        "Adapter",
        html.P("The hardened experts as an ordinary PEFT adapter; every other expert's part in it is zero."),
        html.Div(
            html.A(
                [icon("download"), name],
                href=addresses.download(found.run.id, name),
                download=f"{found.run.id}-{name}",
                className="button",
                **aria(label=f"Download {name}"),
            ),
            className="row",
        ),
        inspection(found.document["inspection"]) if found.document.get("inspection") else None,
    )
