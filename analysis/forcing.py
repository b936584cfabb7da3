"""Put a refusal and a harmless stand-in behind the same harmful prompts, and trace both.

Called by the audit and by researchers. The answers come from the prompts that may be looked at (the discovery half in
an audit); they are then forced on every harmful prompt of the trace.
"""

from analysis.errors import WithheldError
from analysis.models import LoadedModel
from analysis.outcomes.continuations import choose_continuations
from analysis.outcomes.judges import Judge
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.forced import ForcedPair, capture_forced
from analysis.routing.trace import DEFAULTS, CaptureSettings, Progress, Trace, silent
from analysis.shards import ShardStore
from analysis.study import judge_answers

TOKENS = 16


def force_answers(
    model: LoadedModel,
    trace: Trace,
    *,
    prompts: PromptSet | None = None,
    discovery: PromptSet | None = None,
    tokens: int = TOKENS,
    judge: str | Judge = "rules",
    settings: CaptureSettings = DEFAULTS,
    shards: ShardStore | None = None,
    progress: Progress = silent,
) -> ForcedPair:
    """The harmful prompts of `prompts` (default: of the trace) with each of the two answers forced on them.

    The answers are read off the traced ones that are in `discovery` (default: all), at most `tokens` long. Raises
    WithheldError without harmful prompts.
    """
    known = PromptSet("trace", trace.prompts)
    harmful = PromptSet("harmful", (prompts or known).labelled("harmful"))
    if not harmful.prompts:
        raise WithheldError("there are no harmful prompts to force a refusal on")
    inside = {prompt.id for prompt in discovery or known}
    rows = [i for i, prompt in enumerate(trace.prompts) if prompt.id in inside]
    judged = judge_answers(trace, judge)
    told = choose_continuations(
        model,
        [trace.prompts[i] for i in rows],
        [trace.answers[i] for i in rows],
        [judged[i].label for i in rows],
        tokens=tokens,
    )
    refusal, stand_in = (
        capture_forced(
            model,
            harmful,
            [one.tokens] * len(harmful),
            settings,
            name=f"forced-{name}",
            shards=shards,
            progress=_half(progress, turn),
        )
        for turn, (name, one) in enumerate((("refusal", told.refusal), ("stand-in", told.stand_in)))
    )
    return ForcedPair(refusal, stand_in, told)


def _half(progress: Progress, turn: int) -> Progress:
    """Progress of the first or the second of two captures of one size, as progress of both."""
    return lambda stage, done, total: progress(stage, turn * total + done, 2 * total)
