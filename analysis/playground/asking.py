"""Ask a model one prompt and look at the answer from every side: what the playground does.

prompt → capture (answer, routing, certificate) → judge → margin → distance to an audit → detectors
"""

from collections.abc import Callable

from analysis.errors import WithheldError
from analysis.models import LoadedModel
from analysis.outcomes.judges import Judge, check_panel
from analysis.outcomes.judges.judgement import Judgement
from analysis.playground.answer import Distance, PlaygroundAnswer
from analysis.playground.distance import distance_to_audit
from analysis.playground.openings import refusal_margin
from analysis.playground.reference import AuditReference, References
from analysis.playground.verdicts import detector_verdicts
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.recorder import PROMPT
from analysis.routing.token_tracing import token_traces
from analysis.routing.trace import CaptureSettings, Trace, capture

_EVERY_TOKEN = 2**40
OTHER_WEIGHTS = "the model has other weights than when it was audited"
Stage = Callable[[str], None]
"""Told the name of each stage before it begins: answer, judge, margin, distance, detectors. May raise to stop."""


def answer_prompt(
    model: LoadedModel,
    text: str,
    judge: Judge,
    *,
    max_new_tokens: int = 64,
    references: References | None = None,
    stage: Stage = lambda _name: None,
) -> PlaygroundAnswer:
    """Answer `text` greedily, with at most `max_new_tokens` tokens, and say everything that can be said of it.

    What `references` cannot support is withheld with its reason. Raises CaptureError when the capture does not prove
    itself, InputError for a prompt that the model cannot take, JudgeError for a judge that cannot be reached.
    """
    against = references or References()
    prompt = Prompt("playground", text)
    stage("answer")
    settings = CaptureSettings(max_new_tokens=max_new_tokens, token_bytes=_EVERY_TOKEN)
    trace = capture(model, PromptSet("playground", (prompt,)), settings)
    stage("judge")
    judgement = _judged(judge, text, trace)
    withheld: dict[str, str] = {}
    audit, no_audit = _usable(model, against)
    if audit is None:
        withheld |= {"margin": no_audit, "distance": no_audit}
    if not against.detectors:
        withheld["detectors"] = against.no_detectors
    stage("margin")
    margin = _margin(model, prompt, audit, withheld)
    stage("distance")
    distance = _distance(trace, text, audit, withheld)
    stage("detectors")
    return PlaygroundAnswer(
        text=trace.answers[0].text,
        finished=trace.answers[0].finished,
        label=judgement.label,
        rule=judgement.rule,
        span=None if judgement.span is None else (judgement.span.start, judgement.span.end),
        judge=judge.name,
        margin=margin,
        margin_run_id=audit.run_id if audit is not None and margin is not None else None,
        layers=trace.layers,
        top_k=trace.top_k,
        window_tokens=tuple(int(count) for count in trace.tokens[0]),
        frequency=trace.frequency[0],
        probability=trace.probability[0],
        tokens=token_traces(model, trace)[0],
        certificate=trace.certificate.as_dict(),
        distance=distance,
        detectors=detector_verdicts(model, prompt, against.detectors),
        withheld=withheld,
    )


def _judged(judge: Judge, text: str, trace: Trace) -> Judgement:
    """Raises InputError for a judge that must not be used on benign prompts: nobody knows which kind this one is."""
    check_panel(judge, {"harmful", "benign"})
    return judge.judge(text, trace.answers[0].text, finished=trace.answers[0].finished)


def _usable(model: LoadedModel, against: References) -> tuple[AuditReference | None, str]:
    """The audit, where it is one of these very weights, or why there is none."""
    audit = against.audit
    if audit is None:
        return None, against.no_audit
    if audit.weights_sha256 is None or audit.weights_sha256 != model.weights_sha256:
        return None, OTHER_WEIGHTS
    return audit, ""


def _margin(model: LoadedModel, prompt: Prompt, audit: AuditReference | None, withheld: dict[str, str]) -> float | None:
    if audit is None:
        return None
    try:
        return refusal_margin(model, prompt, audit)
    except WithheldError as reason:
        withheld["margin"] = reason.message
        return None


def _distance(trace: Trace, text: str, audit: AuditReference | None, withheld: dict[str, str]) -> Distance | None:
    if audit is None:
        return None
    try:
        return distance_to_audit(trace.selections[0, PROMPT], text, audit)
    except WithheldError as reason:
        withheld["distance"] = reason.message
        return None
