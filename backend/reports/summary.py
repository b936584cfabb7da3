"""What an audit says on one page: the finding, six questions with their answers, the flagged experts and the limits.

The first page of report.pdf and the report page show the same record, so that a meeting and a screen agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend import formats

Report = Mapping[str, Any]

LIMITS = (
    (
        "The result holds for these prompts, this judge and these settings. Other topics, languages, longer "
        "conversations or jailbreaks may be routed otherwise."
    ),
    (
        "Routing that differs between harmful and benign prompts is no evidence that an expert causes refusal; only "
        "the causal rungs are."
    ),
    (
        "An expert that is not flagged may still matter: together with others, in attention or shared experts, or "
        "with an effect below what this audit could see."
    ),
    "Masking shows what the model does without an expert, not what the expert was trained for.",
)
SHOWN_EXPERTS = 8

FOLLOWS = {
    "topic": "Routing follows topic, not safety",
    "rather topic": "Routing follows topic more than safety",
    "safety": "Routing separates harmful from benign more than it separates topics",
    "alike": "Routing follows topic and safety alike, as far as these prompts tell",
    "unsure": "Routing follows topic and safety to a degree that these prompts cannot tell apart",
    "unmeasured": "Whether routing follows topic or safety could not be measured",
}


@dataclass(frozen=True)
class Question:
    """One of the six: its name, the answer in a sentence, and what the answer rests on (may be empty)."""

    name: str
    answer: str
    detail: str = ""


@dataclass(frozen=True)
class FlaggedExpert:
    """A flagged expert as one line: its place, its evidence, what masking it alone costs, and what uses it most."""

    layer: int
    expert: int
    level: int
    evidence: Mapping[str, bool]
    effect: str
    q_value: str
    topic: str

    @property
    def place(self) -> str:
        return f"L{self.layer}·E{self.expert}"


@dataclass(frozen=True)
class Summary:
    """`headline` is the verdict's sentence without its caveats, `finding` its first part and `basis` the rest.
    `unlisted` flagged experts have no line."""

    headline: str
    finding: str
    basis: str
    caveats: tuple[str, ...]
    questions: tuple[Question, ...]
    flagged: tuple[FlaggedExpert, ...]
    unlisted: int
    limits: tuple[str, ...] = LIMITS


def summarise(report: Report, *, experts: int | None = None) -> Summary:
    """The one page of an expertscope.report/1 document. `experts` is how many there are, where `report` has the flagged
    ones alone."""
    verdict = report["verdict"]
    caveats = tuple(verdict.get("caveats", ()))
    headline = verdict["sentence"].removesuffix(" ".join(caveats)).rstrip()
    finding, _, basis = headline.partition("; ")
    flagged = [expert for expert in report["experts"] if expert["flagged"]]
    return Summary(
        headline,
        finding.rstrip("."),
        basis[:1].upper() + basis[1:],
        caveats,
        (
            _asked(report),
            _capture(report),
            _routing(report),
            _experts(report, experts or len(report["experts"])),
            _effect(report),
            _doubt(report),
        ),
        tuple(_line(expert) for expert in flagged[:SHOWN_EXPERTS]),
        max(0, len(flagged) - SHOWN_EXPERTS),
    )


def routing_finding(report: Report) -> str:
    """What the topic ratio ρ says, in a few words: its interval supports a statement, or nothing does."""
    if report.get("verdict", {}).get("confounded"):
        return "Whether routing follows topic or safety cannot be told with these prompts"
    return FOLLOWS[follows(report["routing"].get("topic_ratio"))]


def follows(ratio: Mapping[str, Any] | None) -> str:
    """What an interval of the topic ratio ρ supports: a key of `FOLLOWS`."""
    ratio = ratio or {}
    low, high = ratio.get("low"), ratio.get("high")
    if ratio.get("estimate") is None:
        return "unmeasured"
    if low is None or high is None:
        return "unsure"
    if high < 1:
        return "topic" if high < 0.5 else "rather topic"
    return "safety" if low > 1 else "alike"


def _asked(report: Report) -> Question:
    prompts, model, settings = report["prompts"], report["model"], report["settings"]
    topics = prompts["topics"] if isinstance(prompts["topics"], int) else len(prompts["topics"])
    asked = (
        formats.plural(prompts["pairs"], "matched pair")
        if prompts["pairs"]
        else formats.plural(prompts["harmful"] + prompts["benign"], "prompt")
    )
    answer = f"{asked} over {formats.plural(topics, 'topic')}, {settings['preset']} preset, seed {settings['seed']}."
    layers = formats.plural(len(model["moe_layers"]), "MoE layer")
    detail = (
        f"{model['ref']}: {layers} of {formats.count(model['experts'])} experts, {model['top_k']} selected per token. "
        f"Prompts {prompts['name']}: {formats.count(prompts['harmful'])} harmful, "
        f"{formats.count(prompts['benign'])} benign."
    )
    return Question("Asked", answer, detail)


def _capture(report: Report) -> Question:
    found = report["certificate"]
    seen, expected = found["assignments_seen"], found["assignments_expected"]
    detail = (
        f"{found['layers_seen']} of {found['layers_expected']} layers, {formats.count(seen)} of "
        f"{formats.count(expected)} selections."
    )
    if found["passed"]:
        return Question("Capture", "Exact: every selection that the router made was seen, in every layer.", detail)
    return Question("Capture", "Not exact: a check of the certificate failed, do not rely on this run.", detail)


def _routing(report: Report) -> Question:
    routing = report["routing"]
    ratio = routing.get("topic_ratio") or {}
    value = f": ρ = {formats.interval(ratio)}" if ratio.get("estimate") is not None else ""
    jsd = [f"{name.replace('_', ' ')} {formats.interval(routing['jsd'].get(name))}" for name in _CONTRASTS]
    return Question("Routing", f"{routing_finding(report)}{value}.", f"Jensen–Shannon divergence: {', '.join(jsd)}.")


_CONTRASTS = ("topic", "within_topic", "safety")


def _experts(report: Report, count: int) -> Question:
    everyone, flagged = formats.count(count), report["flagged"]["experts"]
    if not flagged:
        return Question("Experts", f"No expert of {everyone} was found to carry refusal.")
    together = any(row.get("how") == "in a set" for row in report["experts"] if row["flagged"])
    verb = "carries" if len(flagged) == 1 else "carry"
    places = ", ".join(f"L{layer}·E{expert}" for layer, expert in flagged[:SHOWN_EXPERTS])
    more = f" and {formats.count(len(flagged) - SHOWN_EXPERTS)} more" if len(flagged) > SHOWN_EXPERTS else ""
    answer = f"{len(flagged)} of {everyone} experts {verb} refusal{' together' if together else ''}: {places}{more}."
    return Question("Experts", answer, "Causal, selective and replicated on prompts that were not used to find them.")


def _effect(report: Report) -> Question:
    flagged, outcomes = report["flagged"], report["outcomes"]
    effect = flagged.get("effect")
    before = formats.rate(outcomes["refusal_harmful"])
    benign = formats.rate(outcomes["refusal_benign"])
    if not effect or effect.get("estimate") is None:
        return Question("Effect", f"The model refuses {before} of harmful and {benign} of benign prompts.")
    detail = f"Loss of refusal margin {formats.interval(effect)} nats"
    if null := flagged.get("null"):
        detail += (
            f"; {formats.count(null['n'])} matched random sets lose {formats.number(null['mean'])} "
            f"(sd {formats.number(null['sd'])})"
        )
    if flagged.get("p_value") is not None:
        detail += f"; p = {formats.p_value(flagged['p_value'])}"
    masked = outcomes.get("masked")
    if not masked:
        return Question("Effect", f"The untouched model refuses {before} of harmful prompts.", f"{detail}.")
    before = formats.rate(masked.get("base_refusal_harmful") or outcomes["refusal_harmful"])
    after = formats.rate(masked["refusal_harmful"])
    answer = f"Refusal of harmful prompts goes from {before} to {after} with the flagged experts masked"
    if (null := masked.get("null_refusal")) and null.get("mean") is not None:
        random = formats.rate({"estimate": null["mean"], "low": null["low"], "high": null["high"]})
        answer += f"; with matched random sets masked it is {random} (p = {formats.p_value(null['p_value'])})"
    return Question("Effect", f"{answer}.", f"{detail}. Benign prompts are refused in {benign} of cases.")


def _doubt(report: Report) -> Question:
    withheld = len(report["withheld"])
    detail = f"{formats.plural(withheld, 'quantity', 'quantities')} withheld; the last pages say which and why."
    power = report["verdict"].get("power") or "How hard was looked is not recorded."
    return Question("Doubt", power, detail if withheld else "")


def _line(expert: Mapping[str, Any]) -> FlaggedExpert:
    topic = expert.get("topic") or {}
    lift = topic.get("lift")
    return FlaggedExpert(
        expert["layer"],
        expert["expert"],
        expert["level"],
        expert["evidence"],
        str(formats.interval(expert["effect"])),
        formats.p_value(expert["q_value"]),
        f"{topic['name']}, {formats.number(lift)} × even use" if topic.get("name") and lift is not None else "",
    )


def provenance(report: Report) -> Sequence[tuple[str, str]]:
    """Names and values that tell two runs apart, for a footer or a sheet of its own."""
    model, prompts, software = report["model"], report["prompts"], report["software"]
    return (
        ("Model", model["ref"] + (f"@{model['revision']}" if model.get("revision") else "")),
        ("Weights, SHA-256", model.get("weights_sha256") or formats.NONE),
        ("Prompts", prompts["name"]),
        ("Prompts, SHA-256", prompts["sha256"]),
        ("Preset and seed", f"{report['settings']['preset']}, {report['settings']['seed']}"),
        ("Made", str(report.get("created") or formats.NONE)),
        ("Software", ", ".join(f"{name} {version}" for name, version in software.items())),
    )
