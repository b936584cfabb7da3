"""What the compare page says: what changed in words, the two headers, outcomes, flagged sets, ranks, contrasts."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import Column, aria, certificate_badge, graph, info, interval, plain_table, rate
from app.components.states import withheld
from app.figures import Slope, slopes
from app.figures.template import BENIGN, HARMFUL, NEUTRAL
from app.pages.compare.cells import Ids, expert_links
from app.pages.documents.parts import points
from app.pages.run.report import facts_list
from app.quantities import QUANTITIES
from backend import formats
from backend.services import Comparison, RunInfo

Document = Mapping[str, Any]
RATES = (
    ("refusal_harmful", "Refusal of harmful prompts", "Refuses<br>harmful", "refusal", HARMFUL),
    ("refusal_jailbreak", "Refusal of jailbreaks", "Refuses<br>jailbreaks", "refusal", HARMFUL),
    ("refusal_benign", "Refusal of benign prompts", "Refuses<br>benign", "over_refusal", BENIGN),
    ("attack_success", "Attack success", "Attack<br>success", "attack_success", HARMFUL),
    ("degenerate", "Degenerate answers", "Degenerate<br>answers", "degenerate", NEUTRAL),
)
MARGINS = (
    ("margin_harmful", "Refusal margin, harmful prompts"),
    ("margin_benign", "Refusal margin, benign prompts"),
)
CONTRASTS = ("topic", "within_topic", "safety", "refusal_prefix", "behaviour")
PARTS = {"model": "Model", "prompts": "Prompts", "settings": "Settings", "software": "Software"}
MISSING = {
    "flagged": "Flagged sets",
    "ranks": "Rank agreement",
    "routing.per_layer": "Change by layer",
    "routing.topic_ratio": "Topic ratio",
}


def what_changed(found: Comparison) -> Component:
    """The gravest change as the heading, every sentence below it."""
    rates = [found.outcomes[key] for key, *_ in RATES if key in found.outcomes]
    first, *rest = found.changed
    if any(change.shown for change in rates):
        finding = first.rstrip(".")
    else:
        finding, rest = "No change in answers that these prompts can show", [first, *rest]
    lines = html.Ul([html.Li(text) for text in rest], className="plain compare-changed")
    return html.Div([html.H1(finding), lines], className="verdict-line")


def headers(document: Document, runs: Sequence[RunInfo], certificates: Sequence[Document]) -> Component:
    """What differs, then the two runs themselves."""
    both = zip("ab", runs, certificates, strict=True)
    cards = html.Div([_header(side, document[side], run, proof) for side, run, proof in both], className="halves")
    caveats = html.Ul([html.Li(text) for text in document["caveats"]], className="warnings")
    return html.Section(
        [html.H2("What differs between them"), _differs(document), caveats if document["caveats"] else None, cards],
        className="stack-2",
    )


def _differs(document: Document) -> Component:
    if not document["differs"]:
        return html.P("Nothing: the same weights, prompts, settings and software.")
    rows = [
        [PARTS[one["part"]], _words(one["what"]), _value(one["what"], one["a"]), _value(one["what"], one["b"])]
        for one in document["differs"]
    ]
    columns = [Column("Part"), Column("What"), Column("A"), Column("B")]
    return plain_table(columns, rows, "What differs between the two runs", "table small")


def _words(what: str) -> str:
    return what.replace("_sha256", ", SHA-256").replace("sha256", "content, SHA-256").replace("_", " ")


def _value(what: str, text: str) -> Component | str:
    return html.Code(text) if what.endswith("sha256") else text


def _header(side: str, subject: Document, run: RunInfo, certificate: Document) -> Component:
    labels = f"{formats.count(subject['harmful'])} harmful, {formats.count(subject['benign'])} benign"
    facts: list[tuple[str, Any]] = [
        ("Run", dcc.Link(run.name, href=addresses.run(run.id))),
        ("Model", subject["ref"]),
        ("Prompts", f"{subject['prompts']}: {labels}"),
        ("Depth", f"{subject['preset']} preset, seed {subject['seed']}"),
        ("Judge", subject["judge"]),
        ("Trace", certificate_badge(certificate, addresses.download(run.id, "certificate.json"))),
        ("Verdict", wording.verdict(subject["verdict"]).finding),
    ]
    return html.Div([html.H3(side.upper(), className="compare-side"), facts_list(facts)], className="card")


def outcomes(document: Document, ids: Ids) -> Component:
    """Slopes and the same in numbers."""
    known = [(row, document["outcomes"][row[0]]) for row in RATES if row[0] in document["outcomes"]]
    figure = slopes(
        [
            Slope(short, change["a"], change["b"], _change_words(change["difference"]), colour)
            for (_, _, short, _, colour), change in known
        ]
    )
    text = "Each outcome as a line from A to B with 95 % intervals; the table has the numbers"
    notes = list(dict.fromkeys(change["note"] for change in document["outcomes"].values() if change["note"]))
    return html.Section(
        [
            html.H2(["Outcomes ", info("compare_paired")]),
            graph(figure, f"{ids[0]}-{ids[1]}-outcomes", text) if known else None,
            html.P(_caption(document), className="dim small"),
            _outcome_table(document, known),
            *[html.P(f"{note[0].upper()}{note[1:]}.", className="dim small") for note in notes],
        ],
        className="stack",
    )


def _caption(document: Document) -> str:
    shared = document["prompts"]
    if shared is None:
        return "The two reports do not list their answers, so that no answer could be paired."
    return (
        f"{formats.plural(shared['a'], 'prompt')} in A, {formats.count(shared['b'])} in B, of which "
        f"{formats.count(shared['shared'])} are the same. Bars are 95 % intervals; below each panel, B − A in points."
    )


def _change_words(difference: Document) -> str:
    estimate = difference["estimate"]
    if estimate is None:
        return ""
    signed = round(100 * estimate)
    return f"{'+' if signed > 0 else ''}{formats.fixed(signed, 0)} pt"


def _outcome_table(document: Document, known: Sequence[tuple[Any, Document]]) -> Component:
    columns = [
        Column("Outcome"),
        Column("A", numeric=True),
        Column("B", numeric=True),
        Column("B − A", numeric=True),
        Column("Only in A / only in B", numeric=True),
        Column(html.Span(["McNemar p ", info("mcnemar")]), numeric=True),
    ]
    rows: list[list[Any]] = [
        [
            html.Span([name, " ", info(key)]),
            rate(change["a"]),
            rate(change["b"]),
            points(change["difference"]),
            _turned(change),
            formats.p_value(change["mcnemar_p"]),
        ]
        for (_, name, _, key, _), change in known
    ]
    for field, name in MARGINS:
        if field in document["outcomes"]:
            change = document["outcomes"][field]
            numbers = [interval(change[side], "nats") for side in ("a", "b", "difference")]
            rows.append([html.Span([name, " ", info("margin")]), *numbers, formats.NONE, formats.NONE])
    return plain_table(columns, rows, "Outcomes in A and B, with 95 % intervals")


def _turned(change: Document) -> str:
    if change["only_a"] is None:
        return formats.NONE
    return f"{formats.count(change['only_a'])} / {formats.count(change['only_b'])}"


def flagged(document: Document, ids: Ids) -> Component | None:
    """Three lists: only A, both, only B."""
    sets = document["flagged"]
    if sets is None:
        return None
    parts = {"a": "Only A", "both": "Both", "b": "Only B"}
    overlap = formats.NONE if sets["jaccard"] is None else formats.number(sets["jaccard"], 2)
    return html.Section(
        [
            html.H2(["Flagged experts ", info("evidence")]),
            html.Div(
                [
                    _part(name, [one for one in sets["experts"] if one["where"] == key], ids)
                    for key, name in parts.items()
                ],
                className="thirds",
            ),
            html.P(["Overlap of the two sets: ", html.Span(overlap, className="num"), " ", info("compare_jaccard")]),
        ],
        className="stack-2",
    )


def _part(name: str, experts: Sequence[Document], ids: Ids) -> Component:
    rows = [_flagged_expert(one, ids) for one in experts]
    body = html.Ul(rows, className="compare-flagged") if rows else html.P("None.", className="dim")
    return html.Div([html.H3(f"{name}, {len(rows)}"), body], className="stack")


def _flagged_expert(one: Document, ids: Ids) -> Component:
    effects = [
        html.Div([f"effect in {side}: ", interval(one[f"effect_{side.lower()}"], "nats")], className="small")
        for side in ("A", "B")
        if one[f"effect_{side.lower()}"]
    ]
    name = html.Strong(formats.place(one["layer"], one["expert"]), className="num")
    return html.Li([html.Div([name, *expert_links(ids, one["layer"], one["expert"])], className="row"), *effects])


def ranks(document: Document) -> Component | None:
    """The audit's own ranking and every criterion that both have."""
    if not document["ranks"]:
        return None
    columns = [
        Column("Ranking"),
        Column("Spearman ρ", numeric=True),
        Column("Kendall τ", numeric=True),
        Column("Same among the first", numeric=True),
        Column("Experts", numeric=True),
    ]
    rows = [
        [
            "The audit's own" if name == "rank" else QUANTITIES[name].name if name in QUANTITIES else name,
            formats.number(one["spearman"], 2),
            formats.number(one["kendall"], 2),
            f"{one['shared']} of {one['top']}",
            formats.count(one["n"]),
        ]
        for name, one in document["ranks"].items()
    ]
    return html.Section(
        [
            html.H2(["Do both rank the experts alike? ", info("compare_ranks")]),
            plain_table(columns, rows, "Agreement of every ranking that both audits have"),
        ],
        className="stack-2",
    )


def routing(document: Document) -> Component:
    """ρ and the five contrasts."""
    found = document["routing"]
    rows = [[html.Span(["Topic ratio ρ ", info("topic_ratio")]), *_sides(found["topic_ratio"])]]
    rows += [
        [html.Span([QUANTITIES[f"jsd_{key}"].name, " ", info(f"jsd_{key}")]), *_sides(found["contrasts"].get(key))]
        for key in CONTRASTS
    ]
    columns = [
        Column("Contrast"),
        Column("A", numeric=True),
        Column("B", numeric=True),
        Column(html.Span(["B − A ", info("compare_apart")]), numeric=True),
    ]
    return html.Section(
        [
            html.H2("Topic against safety"),
            plain_table(columns, rows, "Topic ratio and five contrasts in A and B, with 95 % intervals"),
        ],
        className="stack-2",
    )


def _sides(change: Document | None) -> list[Any]:
    if change is None:
        return [formats.NONE] * 3
    return [interval(change[side]) for side in ("a", "b", "difference")]


def layers(document: Document) -> Component | None:
    per_layer = document["routing"]["per_layer"]
    if not per_layer:
        return None
    columns = [
        Column("Layer", numeric=True),
        Column("Mean |Δ selection frequency|", numeric=True),
        Column("JSD of A and B", numeric=True),
        Column("Safety JSD, A", numeric=True),
        Column("Safety JSD, B", numeric=True),
        Column("Safety JSD, B − A", numeric=True),
    ]
    rows = [
        [
            str(row["layer"]),
            formats.number(row["mean_abs_frequency"]),
            formats.number(row["jsd"]),
            *_sides(row["contrasts"].get("safety")),
        ]
        for row in per_layer
    ]
    return html.Section(
        [
            html.H2(["Layer by layer ", info("compare_moved")]),
            plain_table(columns, rows, "How far each layer's routing moved", light=True),
        ],
        className="stack-2",
    )


def withheld_list(document: Document) -> Component | None:
    """What could not be compared, and why; one line for each reason."""
    reasons: dict[str, list[str]] = {}
    for one in document["withheld"]:
        name = MISSING.get(one["what"]) or wording.withheld_name(one["what"])
        if one["what"] != "routing.groups":  # said where the heatmap would stand
            reasons.setdefault(one["why"], []).append(name)
    if not reasons:
        return None
    lines = [withheld(", ".join(names), f"{why[0].upper()}{why[1:]}.") for why, names in reasons.items()]
    return html.Section([html.H2("What could not be compared"), *lines], className="stack-2", **aria(label="Withheld"))
