"""Sentences made from a report's numbers. A heading is a finding where there is one, a noun where there is none.

The rules are the report's own: an interval that excludes a value supports the statement, nothing else does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.quantities import QUANTITIES
from backend import formats
from backend.services import follows

Report = Mapping[str, Any]

LADDER = (
    ("correlated", "its routing differs between harmful and benign prompts"),
    ("stable", "the difference survives resampling of the prompts"),
    ("significant", "q ≤ 0.05 after correction over all experts"),
    ("causal", "ablating it changes refusal more than matched random experts do"),
    ("selective", "side effects are at most a third of the effect"),
    ("replicated", "the effect holds on prompts that were not used to find it"),
)
WINDOWS = {
    "prompt": "Prompt",
    "boundary": "Boundary",
    "response": "Response",
}
WINDOW_NOTES = {
    "prompt": "all tokens of the prompt",
    "boundary": "the last token before the answer begins",
    "response": "all tokens that the model generated",
}
SIGNALS = {
    "prompt_length": "prompt length",
    "words": "words of the prompt",
    "layer_inputs": "layers' inputs",
    "router_logits": "router logits",
    "random_experts": "random experts",
    "random_features": "random features",
    "selected_experts": "a few experts",
}
"""What a detector or its baselines read, by the names that documents have."""
STAGES = {
    "queue": "Waiting for the worker",
    "load": "Loading the model",
    "capture": "Tracing the prompts",
    "forced": "Tracing given answers",
    "criteria": "Ranking the experts",
    "search": "Ablating candidates and growing sets",
    "confirmation": "Testing against matched controls on prompts not looked at",
    "controls": "Masking more and more experts, and busy ones, for comparison",
    "answers": "Answering with the flagged experts masked",
}
STAGES_OF = {
    "mask": {
        "margins": "Masking these experts and random ones like them",
        "answers": "Answering with random sets masked",
        "utility": "Measuring what the mask costs on harmless text",
    },
    "detect": {
        "boundary": "Reading the last token's routing",
        "evaluation kfold": "Testing on prompts of known topics",
        "evaluation leave_category_out": "Testing on topics left out",
    },
    "tune": {
        "base": "Measuring the untouched model",
        "tuning": "Tuning and measuring the chosen experts",
        "controls": "Tuning and measuring the control sets",
    },
}
"""Where a kind of run does something else in a stage, or has stages of its own."""
KINDS = {
    "audit": ("Audit", "Which experts carry refusal, with the evidence for each of them."),
    "trace": ("Trace", "Which experts the prompts use. Nothing is masked and nothing is judged."),
    "mask": ("Mask", "What happens to refusal when experts that you name are taken out, beside random ones."),
    "detect": ("Detector", "Whether routing alone gives away that a prompt is harmful, beside simpler signs."),
    "tune": ("Tune", "Trains the experts that you name, and control sets of the same size, to refuse what is harmful."),
}
"""Each kind of run: its name, and what it answers."""
WITHHELD = {
    "outcomes.masked": "Answers with the flagged experts masked",
    "flagged.effect": "Effect of the flagged set",
    "experts.details.safex.hcdg": "Harmful prompts against jailbreaks (HCDG, HRCG)",
    "experts.effect": "Effects of single experts",
    "outcomes.margin_harmful": "Refusal margin on harmful prompts",
    "outcomes.margin_benign": "Refusal margin on benign prompts",
    "outcomes.refusal_harmful": "Refusal of harmful prompts",
    "outcomes.refusal_benign": "Refusal of benign prompts",
    "outcomes.over_topics": "Rates over topics",
    "experts.frequency.harmful": "Routing of harmful prompts",
    "experts.frequency.benign": "Routing of benign prompts",
    "experts.details.raset": "Difference between harmful and benign",
    "experts.selectivity": "Selectivity of some experts",
    "experts.ablation": "Effects of some experts",
    "experts.null": "Matched nulls",
    "flagged.experts": "Flags",
    "routing.jsd.topic": "Divergence between topics",
    "routing.jsd.within_topic": "Divergence within topics",
    "routing.jsd.safety": "Divergence of harmful and benign",
    "routing.per_layer.coactivation": "Co-activation",
    "interventions": "Dose curve and controls",
    "routing.jsd.refusal_prefix": "Divergence behind a refusal",
    "routing.jsd.behaviour": "Divergence of refusing and complying",
    "routing.forced": "Forced answers",
    "margin": "Refusal margin",
    "utility": "Perplexity and divergence",
    "kfold": "Known topics",
    "leave_category_out": "Topics left out",
    "kfold.tpr_at_1_fpr": "Found at 1 % false alarms, known topics",
    "leave_category_out.tpr_at_1_fpr": "Found at 1 % false alarms, topics left out",
    "kfold.within_category": "Inside a topic, known topics",
    "leave_category_out.within_category": "Inside a topic, topics left out",
    "kfold.scores": "Scores of some prompts, known topics",
    "leave_category_out.scores": "Scores of some prompts, topics left out",
    "leave_category_out.single_categories": "Topics one by one",
}
DRIVES = {
    "topic": "Topic",
    "rather topic": "Topic more than safety",
    "safety": "Safety more than topic",
    "alike": "Neither clearly",
    "unsure": "Not known: no interval",
    "unmeasured": "Not measured",
}
"""The same of one layer."""
ANSWERS = {
    "refusal": "Refusal",
    "partial": "Partial refusal",
    "compliance": "Compliance",
    "degenerate": "Degenerate",
    "unjudged": "Unjudged",
}
"""The labels of answers, as headings have them."""
MADE = {"mask": "Masked", "tune": "Tuned", "harden": "Hardened", "stress": "Stressed"}
"""What a run did to the experts of the audit that it was made from."""
MATERIAL = 0.1
"""The least loss of refusal probability that is called an effect, as in the audit."""
PRESETS = {
    "quick": "A first look: at most 60 harmful and 60 benign prompts, short answers, wider intervals.",
    "standard": "The default: at most 300 of each, with every control.",
    "full": "For a decision: every prompt, long answers, twice the controls.",
}


def stage(kind: str, name: str) -> str:
    """A stage of a run in words."""
    return STAGES_OF.get(kind, {}).get(name) or STAGES.get(name) or name.capitalize()


@dataclass(frozen=True)
class Verdict:
    """The report's sentence in three parts: the finding itself, what it rests on (may be empty), and its caveats."""

    finding: str
    basis: str
    caveats: tuple[str, ...] = ()


def sentence(kind: str, text: str) -> str:
    """A verdict's sentence as people read it: signals by their names, thousands as everywhere."""
    for name, plain in SIGNALS.items() if kind == "detect" else ():
        text = re.sub(rf"\b{name}\b", plain, text)
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", formats.THIN, text)


def verdict(sentence: str, caveats: Sequence[str] = ()) -> Verdict:
    """ "A; b; c. D." with the caveat "D." as a heading "A", the line below it, "B; c.", and the caveat."""
    sentence = sentence.removesuffix(" ".join(caveats)).rstrip()
    finding, _, basis = sentence.partition("; ")
    return Verdict(finding.rstrip("."), basis[:1].upper() + basis[1:], tuple(caveats))


def layer_drive(row: Mapping[str, Any], *, confounded: bool) -> str:
    """What drives one layer of a report's `per_layer`, in a few words."""
    return "Cannot be told" if confounded else DRIVES[follows(row.get("topic_ratio"))]


def layers_finding(report: Report) -> str:
    """How many layers follow topic, how many safety, and which."""
    rows = report["routing"]["per_layer"]
    if confounded(report):
        return "What drives a layer cannot be told with these prompts"
    found = {key: [row["layer"] for row in rows if follows(row.get("topic_ratio")) == key] for key in DRIVES}
    topic, safety = sorted(found["topic"] + found["rather topic"]), found["safety"]
    parts = [
        f"{name} drives {_layers(layers, len(rows))}"
        for name, layers in (("topic", topic), ("safety", safety))
        if layers
    ]
    if not parts:
        return "No layer follows one more than the other, as far as these prompts tell"
    rest = len(rows) - len(topic) - len(safety)
    parts += [f"{'the rest do' if rest > 1 else 'one does'} not say"] if rest else []
    text = ", ".join(parts)
    return text[:1].upper() + text[1:]


def _layers(layers: Sequence[int], of: int) -> str:
    if len(layers) == of:
        return "the only layer" if of == 1 else f"all {of} layers"
    return f"layer {layers[0]}" if len(layers) == 1 else f"layers {formats.spans(layers)}"


def confounded(report: Report) -> bool:
    """Whether topic and harm cannot be told apart with the prompts."""
    return bool(report.get("verdict", {}).get("confounded"))


def flagged_finding(flagged: Sequence[Mapping[str, Any]], everyone: int) -> str:
    """How many experts carry refusal, and out of how many. `flagged` are the flagged experts' rows of the report."""
    if not flagged:
        return f"No expert of {formats.count(everyone)} was found to carry refusal"
    if any(row.get("how") == "in a set" for row in flagged):
        return f"{len(flagged)} of {formats.count(everyone)} experts carry refusal together"
    verb = "carries" if len(flagged) == 1 else "carry"
    return f"{len(flagged)} of {formats.count(everyone)} experts {verb} refusal"


def rare_finding(rare: Sequence[Mapping[str, Any]]) -> str:
    """What the rare experts do to refusal where they work."""
    alarms = sum(bool(one["alarm"]) for one in rare)
    if alarms:
        verb, them = ("changes", "it") if alarms == 1 else ("change", "them")
        return f"Alarm: {formats.plural(alarms, 'rare expert')} {verb} refusal on the few prompts that use {them}"
    if len(rare) == 1:
        return "1 rare expert was looked at where it works, and it does not change refusal much there"
    return f"{len(rare)} rare experts were looked at where they work, and none changes refusal much there"


def rare_line(one: Mapping[str, Any]) -> str:
    """One rare expert: how rare, and what becomes of refusal without it on the prompts that use it."""
    points = round(100 * abs(one["refusal"]))
    change = (
        f"{formats.plural(points, 'point')} {'lower' if one['refusal'] > 0 else 'higher'}" if points else "as it is"
    )
    users = formats.plural(one["prompts"], "harmful prompt")
    return f"{formats.percent(one['load'])} of an even load, used by {users}; refusal there without it: {change}"


def dose_finding(doses: Sequence[Mapping[str, Any]]) -> str:
    """What the dose curve says: how few experts cost refusal more than random ones do, if any number does."""
    for dose in doses:
        lost, null = dose["refusal"]["estimate"], dose["null"]
        if lost >= MATERIAL and null["n"] and dose["margin"]["estimate"] > null["high"]:
            who = "Masking one expert costs" if dose["size"] == 1 else f"Masking {dose['size']} experts costs"
            random = dose["null_refusal"]["mean"]
            text = f"{who} {lost:.0%} of refusal; as many random ones cost {random:.0%} on average"
            return text.replace("%", "\u00a0%").replace("-0\u00a0%", "0\u00a0%")
    largest = doses[-1]
    if largest["refusal"]["estimate"] < MATERIAL:
        return f"Masking {largest['size']} experts together hardly moves refusal"
    return "Masking more experts costs refusal no more than masking random ones"


def flagged_places(report: Report) -> list[tuple[int, int]]:
    return [(int(layer), int(expert)) for layer, expert in report["flagged"]["experts"]]


def ladder_text(evidence: Mapping[str, bool]) -> str:
    """The ladder in words, for those who do not see the glyph."""
    passed = [name for name, _ in LADDER if evidence.get(name)]
    return f"Evidence {len(passed)} of {len(LADDER)}: {', '.join(passed) if passed else 'none'}"


def expert_finding(row: Mapping[str, Any], lifts: Sequence[Any]) -> str:
    """One sentence on what an expert does: its part in refusal, then the topics that use it most."""
    name = formats.place(row["layer"], row["expert"])
    return f"{name} {_role(row)}{_favourite(lifts)}."


def null_note(row: Mapping[str, Any]) -> str:
    """What the picture of an effect over its null shows, and how many of the null do as much."""
    null, p = row.get("null"), row.get("p_value")
    together = row.get("how") == "in a set"
    own = (
        "The effect is what this expert adds to the flagged set; its null is of sets like that one, and the "
        "other numbers "
        "are of it ablated alone."
    )
    if not null:
        return own if together else "No other expert could stand beside it."
    if null.get("values"):
        shown = (
            f"Each grey dot is one of {null['n']} random {'sets' if together else 'experts'} like it in layer and load."
        )
    else:
        shown = f"The band is the mean ± 2 standard deviations of {null['n']} random experts like it in layer and load."
    if together:
        return f"{shown} {own}"
    as_much = round(p * (null["n"] + 1)) - 1 if p is not None else None
    return (
        shown if as_much is None else f"{shown} {as_much or 'None'} of them {'does' if as_much == 1 else 'do'} as much."
    )


def _role(row: Mapping[str, Any]) -> str:
    if row["flagged"]:
        return "carries refusal together with others" if row.get("how") == "in a set" else "carries refusal"
    evidence = row["evidence"]
    if evidence.get("causal"):
        return "moves refusal when ablated, but does not pass every check"
    if evidence.get("significant"):
        return "is routed to differently on harmful prompts, and ablating it does not change refusal"
    return "shows no sign of carrying refusal"


def _favourite(lifts: Sequence[Any]) -> str:
    """The topic with the largest lift, if it is used at least half as much again as evenly."""
    known = [use for use in lifts if use.lift is not None]
    top = max(known, key=lambda use: use.lift, default=None)
    if top is None or top.lift < 1.5:
        return ", and no topic uses it much more than any other"
    return f"; {top.topic} uses it {formats.number(top.lift, 2)} times as much as even routing would"


def withheld_reason(report: Report, what: str) -> str | None:
    """Why a quantity is missing, where the report says so. `what` is its path, such as "routing.topic_ratio"."""
    return next((str(item["why"]) for item in report["withheld"] if item["what"] == what), None)


def withheld_name(what: str) -> str:
    """A path of the report in words: "outcomes.judge_agreement" is "Judge agreement"."""
    quantity = what.removesuffix(" interval")
    last = quantity.rpartition(".")[2]
    if quantity.startswith("experts.scores.") and last in QUANTITIES:
        return QUANTITIES[last].name
    name = WITHHELD.get(quantity) or last.replace("_", " ").capitalize()
    return f"{name}, interval" if what != quantity else name
