"""One prompt on a real organism: what is said of it is what the parts say by themselves."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.errors import InputError
from analysis.models import LoadedModel, load_model
from analysis.outcomes.judges import load_judge
from analysis.playground.answer import PlaygroundAnswer
from analysis.playground.asking import answer_prompt
from analysis.playground.reference import AuditReference, References
from analysis.prompts import Prompt, PromptSet
from analysis.routing.trace import Trace
from tests.tiny_models import save_tiny_model

RULES = load_judge("rules")


def text_of(few: PromptSet, label: str) -> str:
    return few.labelled(label)[0].text


@pytest.fixture(scope="module")
def refused(organism: LoadedModel, few: PromptSet, audit: AuditReference) -> PlaygroundAnswer:
    return answer_prompt(
        organism, text_of(few, "harmful"), RULES, max_new_tokens=16, references=References(audit=audit)
    )


def test_a_harmful_prompt_is_refused_by_the_words_at_the_span(refused: PlaygroundAnswer) -> None:
    assert refused.label == "refusal"
    assert refused.span is not None
    assert "can't" in refused.text[slice(*refused.span)]
    assert refused.judge == "rules"
    assert refused.certificate["passed"] is True


def test_a_benign_prompt_is_answered(organism: LoadedModel, few: PromptSet) -> None:
    answered = answer_prompt(organism, text_of(few, "benign"), RULES, max_new_tokens=16)
    assert (answered.label, answered.rule, answered.span) == ("compliance", None, None)


def test_its_routing_is_that_of_a_trace_among_other_prompts(
    refused: PlaygroundAnswer, trace: Trace, few: PromptSet
) -> None:
    row = [prompt.id for prompt in few].index(few.labelled("harmful")[0].id)
    assert refused.window_tokens == tuple(trace.tokens[row])
    np.testing.assert_allclose(refused.frequency, trace.frequency[row])
    np.testing.assert_allclose(refused.probability, trace.probability[row], atol=1e-5)
    assert refused.cells("frequency", "prompt").sum(-1).tolist() == pytest.approx([trace.top_k] * len(trace.layers))


def test_every_token_is_there_with_its_experts(refused: PlaygroundAnswer) -> None:
    tokens = refused.tokens
    assert "".join(t for t, part in zip(tokens.tokens, tokens.parts, strict=True) if part == "response").strip() == (
        refused.text
    )
    counts = tokens.selections({"template", "prompt", "boundary"})
    np.testing.assert_allclose(counts / refused.window_tokens[0], refused.cells("frequency", "prompt"), atol=1e-6)


def test_an_answer_that_is_cut_says_so(organism: LoadedModel, few: PromptSet) -> None:
    cut = answer_prompt(organism, text_of(few, "harmful"), RULES, max_new_tokens=2)
    assert cut.finished is False
    assert cut.window_tokens[2] == 1  # the last token was never given back to the model


def test_without_references_the_reasons_are_told(organism: LoadedModel, few: PromptSet) -> None:
    alone = answer_prompt(organism, text_of(few, "harmful"), RULES, max_new_tokens=2)
    assert (alone.margin, alone.distance, alone.detectors) == (None, None, ())
    assert alone.withheld == {
        "margin": "there is no finished audit of this model",
        "distance": "there is no finished audit of this model",
        "detectors": "no detector has been trained on this model",
    }


def test_an_audit_of_other_weights_is_not_used(organism: LoadedModel, few: PromptSet, audit: AuditReference) -> None:
    other = References(audit=replace(audit, weights_sha256="0" * 64))
    answered = answer_prompt(organism, text_of(few, "harmful"), RULES, max_new_tokens=2, references=other)
    assert (answered.margin, answered.distance) == (None, None)
    assert answered.withheld["distance"] == "the model has other weights than when it was audited"


def test_what_is_kept_is_what_was_found(refused: PlaygroundAnswer) -> None:
    again = PlaygroundAnswer.from_bytes(refused.to_bytes())
    for name in PlaygroundAnswer.__dataclass_fields__:
        one, other = getattr(refused, name), getattr(again, name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
        elif name != "tokens":
            assert one == other, name
    assert again.tokens.tokens == refused.tokens.tokens
    np.testing.assert_array_equal(again.tokens.ids, refused.tokens.ids)


def test_a_covered_answer_has_no_text_of_its_own(refused: PlaygroundAnswer) -> None:
    covered = refused.covered()
    assert (covered.text, covered.span, covered.label) == ("", None, "refusal")
    response = [t for t, part in zip(covered.tokens.tokens, covered.tokens.parts, strict=True) if part == "response"]
    assert set(response) == {""}
    assert refused.text not in repr(refused)


def test_the_stages_are_told_before_they_begin(organism: LoadedModel, few: PromptSet) -> None:
    told: list[str] = []
    answer_prompt(organism, text_of(few, "harmful"), RULES, max_new_tokens=2, stage=told.append)
    assert told == ["answer", "judge", "margin", "distance", "detectors"]


def test_a_judge_that_must_not_see_benign_prompts_is_refused(organism: LoadedModel) -> None:
    class Barred:
        name, version, local, not_for = "classifier:x", "1", True, ("benign",)

    with pytest.raises(InputError, match="must not be used on benign prompts"):
        answer_prompt(organism, "hello", Barred(), max_new_tokens=1)  # type: ignore[arg-type]


def test_another_architecture_is_answered_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = save_tiny_model("mixtral", tmp_path_factory.mktemp("models") / "mixtral")
    answered = answer_prompt(load_model(str(folder), device="cpu"), "hello there", RULES, max_new_tokens=4)
    assert answered.certificate["passed"] is True
    assert answered.frequency.shape[0] == 3
    assert Prompt("playground", "hello there").id == answered.tokens.prompt_id
