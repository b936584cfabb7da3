"""What the pages of masks, detectors, traces and tunings have in common: asked, before and after, guard, made with."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import Column, icon, info, interval, plain_table, rate
from app.components.states import withheld
from app.pages.run.frame import Documented
from app.pages.run.report import facts_list
from backend import formats
from backend.services import RunInfo

Document = Mapping[str, Any]
Fact = tuple[str, Any]
OUTCOMES = (
    ("refusal_harmful", "Refusal of harmful prompts", "refusal"),
    ("refusal_jailbreak", "Refusal of jailbreaks", "refusal"),
    ("refusal_benign", "Refusal of benign prompts", "over_refusal"),
    ("attack_success", "Attack success", "attack_success"),
    ("degenerate", "Degenerate answers", "degenerate"),
)
POINTS = "pt"


def headline(found: Documented, *, also: str | None = None) -> Component:
    """The verdict's sentence: its finding as the page's heading, what it rests on below."""
    verdict = wording.verdict(wording.sentence(found.run.kind, found.document["verdict"]["sentence"]))
    lines = [html.P(line, className="lead") for line in (verdict.basis, also) if line]
    return html.Div([html.H1(verdict.finding), *lines], className="verdict-line")


def section(title: Any, *children: Any) -> Component:
    return html.Section([html.H2(title), *children], className="stack-2")


def asked(found: Documented, *own: Fact) -> Component:
    """What was asked: prompts and depth, and the kind's own facts before them."""
    run, prompts, model = found.run, found.document["prompts"], found.document["model"]
    layers = formats.plural(len(model["moe_layers"]), "MoE layer")
    facts: list[Fact] = [
        *own,
        ("Prompts", f"{prompts['name']}: {_labels(prompts)}"),
        ("Model", f"{model['ref']}: {layers} of {model['experts']} experts, {model['top_k']} selected per token"),
        ("Depth", [f"{run.preset} preset ", info("preset"), f" · seed {run.seed} ", info("seed")]),
        ("Took", formats.seconds(_took(run))),
    ]
    return section("Asked", facts_list(facts))


def _labels(prompts: Document) -> str:
    """How many of each label there are, wherever the document counts them."""
    counted = prompts.get("measured_on") or prompts
    labels = [f"{formats.count(counted['harmful'])} harmful", f"{formats.count(counted['benign'])} benign"]
    if counted.get("jailbreak"):
        labels.append(formats.plural(counted["jailbreak"], "jailbreak"))
    topics = counted.get("topics") or []
    return f"{', '.join(labels)}, {formats.plural(len(topics), 'topic')}"


def _took(run: RunInfo) -> float | None:
    return (run.finished - run.started).total_seconds() if run.started and run.finished else None


def experts_named(run: RunInfo, experts: Sequence[Sequence[int]]) -> Component:
    """The experts that were acted on, linked to the audit that they come from where there is one."""
    source = run.parameters.get("experts_from")
    parts: list[Any] = []
    for layer, expert in experts:
        name = formats.place(layer, expert)
        linked = dcc.Link(name, href=addresses.expert(source, layer, expert), className="num") if source else name
        parts += [linked, ", "]
    parts = parts[:-1]
    if source:
        parts += [", from ", dcc.Link("another run", href=addresses.run(source))]
    return html.Span([*parts, " ", info("experts_named")])


def change_table(outcomes: Document) -> Component:
    """Rates before and after on the same prompts, with the paired difference and what chance would do."""
    columns = [
        Column("Outcome"),
        Column("Before", numeric=True),
        Column("After", numeric=True),
        Column(html.Span(["Difference ", info("paired")]), numeric=True),
        Column(html.Span(["McNemar p ", info("mcnemar")]), numeric=True),
    ]
    rows = [
        [
            html.Span([name, " ", info(key)]),
            rate(outcomes[field]["before"]),
            rate(outcomes[field]["after"]),
            points(outcomes[field]["difference"]),
            formats.p_value(outcomes[field].get("mcnemar_p")),
        ]
        for field, name, key in OUTCOMES
        if outcomes.get(field)
    ]
    return plain_table(columns, rows, "Outcomes before and after, with 95 % intervals")


def utility_table(utility: Document | None) -> Component | None:
    """What the change costs where nothing should change; None where the document has nothing on that."""
    if not utility:
        return None
    rows: list[list[Any]] = []
    for field, name in (("perplexity", "Perplexity of its own harmless answers"), ("text_perplexity", "Perplexity of")):
        found = utility.get(field)
        if found:
            named = f"{name} {found['name']}" if "name" in found else name
            ratio = html.Span(["× ", interval(found["ratio"])], className="num")
            rows.append([[named, " ", info("perplexity")], interval(found["before"]), interval(found["after"]), ratio])
    choice = utility.get("multiple_choice")
    if choice:
        named = f"Multiple choice, {choice['questions']} questions"
        sides = (rate(choice["before"]), rate(choice["after"]), points(choice["difference"]))
        rows.append([[named, " ", info("multiple_choice")], *sides])
    if not rows:
        return None
    columns = [Column("Cost"), Column("Before", numeric=True), Column("After", numeric=True)]
    return plain_table([*columns, Column("Change", numeric=True)], rows, "What the change costs on harmless text")


def points(difference: Document | None) -> Component:
    """A difference of shares, in points of a percent."""
    if not difference or difference.get("estimate") is None:
        return html.Span(formats.NONE, className="num")
    ends = ("estimate", "low", "high")
    return interval({end: None if difference.get(end) is None else 100 * difference[end] for end in ends}, POINTS)


def guard(found: Document | None) -> Component:
    """Whether the model was still itself, with every fault in words."""
    title = html.Span(["Was it still the same model? ", info("guard")])
    if not found:
        return section(title, html.P("That was not measured.", className="dim"))
    if found["faults"]:
        lead = html.P([icon("warn"), " No: ", "; ".join(found["faults"]), "."], className="danger")
    elif found.get("passed"):
        lead = html.P([icon("check"), " Yes, as far as was measured."])
    else:
        lead = html.P(["Not known: ", found.get("not_measured") or "it was not measured", "."])
    facts: list[Fact] = []
    for key, name in (("benign_kl", "Divergence, first token"), ("answer_kl", "Divergence, whole answers")):
        if found.get(key):
            limit = f" (at most {formats.number(found['kl_limit'])} allowed)" if found.get("kl_limit") else ""
            facts.append((name, [interval(found[key], "nats"), limit, " ", info("benign_kl")]))
    if found.get("degeneration_rise") is not None:
        rise = formats.fixed(100 * found["degeneration_rise"], 0)
        allowed = formats.fixed(100 * found["degeneration_limit"], 0)
        facts.append(("Broken answers", [f"{rise} points more (at most {allowed} allowed) ", info("degenerate")]))
    return section(title, lead, facts_list(facts) if facts else None)


def doubts(document: Document, *limits: str) -> Component:
    """What was withheld and why, and what this kind of run cannot show."""
    raw = document["withheld"]
    items = raw.items() if isinstance(raw, Mapping) else [(one["what"], one["why"]) for one in raw]
    missing = [withheld(wording.withheld_name(what), why) for what, why in items]
    return section("What this does not show", *[html.P(text) for text in limits], *missing)


def made_with(document: Document) -> Component:
    model, prompts, software = document["model"], document["prompts"], document["software"]
    versions = ", ".join(f"{name} {version}" for name, version in software.items() if version)
    facts: list[Fact] = [
        ("Weights, SHA-256", html.Code(model.get("weights_sha256") or formats.NONE)),
        ("Prompts, SHA-256", html.Code(prompts["sha256"])),
        ("Software", versions),
    ]
    return section("Made with", facts_list(facts))
