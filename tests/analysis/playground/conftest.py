"""An organism, and what an audit of it keeps, made from its own parts on a few prompts."""

from dataclasses import replace

import pytest

from analysis.evidence.split import halves
from analysis.models import LoadedModel, load_model
from analysis.organisms import organism_path
from analysis.outcomes.judges import load_judge
from analysis.outcomes.openings import Openings, find_openings
from analysis.outcomes.probe import Probe
from analysis.playground.reference import AuditReference
from analysis.prompts import PromptSet, load_prompts
from analysis.result import PromptCounts
from analysis.routing.trace import CaptureSettings, Trace, capture
from analysis.study import judge_answers

PROMPTS = 24


@pytest.fixture(scope="session")
def organism() -> LoadedModel:
    return load_model("organism:planted", device="cpu")


@pytest.fixture(scope="session")
def few() -> PromptSet:
    every = load_prompts(str(organism_path("planted") / "prompts.csv"))
    return replace(every, prompts=every.prompts[:PROMPTS])


@pytest.fixture(scope="session")
def trace(organism: LoadedModel, few: PromptSet) -> Trace:
    return capture(organism, few, CaptureSettings(max_new_tokens=16))


@pytest.fixture(scope="session")
def openings(trace: Trace, few: PromptSet) -> Openings:
    """As an audit finds them: by the tokens that were really generated, on its discovery half."""
    inside = {prompt.id for prompt in halves(few, 0).discovery}
    rows = [row for row, prompt in enumerate(few) if prompt.id in inside]
    labels = [answer.label for answer in judge_answers(trace, load_judge("rules"))]
    return find_openings([trace.answers[row].first_token for row in rows], [labels[row] for row in rows])


@pytest.fixture(scope="session")
def audit(organism: LoadedModel, trace: Trace, few: PromptSet, openings: Openings) -> AuditReference:
    margins = Probe(organism, few.prompts, openings, batch_tokens=8_192).base.margin
    judged = judge_answers(trace, load_judge("rules"))
    return AuditReference(
        run_id="audit",
        weights_sha256=organism.weights_sha256,
        seed=0,
        layers=trace.layers,
        prompts=few.prompts,
        counts=PromptCounts(tuple(prompt.id for prompt in few), trace.selections, trace.tokens),
        answers=tuple(replace(one, margin=float(m)) for one, m in zip(judged, margins, strict=True)),
    )
