"""Answers before and with the flagged experts masked, joined prompt by prompt, counted and filtered."""

from dataclasses import replace

import pytest

from analysis.errors import ConflictError, InputError
from backend.services import ChangeFilter, PromptSetInfo, RunInfo, Services
from tests.backend.factories import make_result


@pytest.fixture
def changed(services: Services, running: RunInfo, prompt_set: PromptSetInfo) -> RunInfo:
    """h0 still refuses when masked and h1 breaks; b5 was not answered again; a second judge looked at h2."""
    result = make_result(services.prompt_sets.load(prompt_set.id))
    masked = {"h0": "refusal", "h1": "degenerate"}
    answers = []
    for one in result.answers:
        if one.variant == "masked" and one.prompt_id == "b5":
            continue
        label = masked.get(one.prompt_id, one.label) if one.variant == "masked" else one.label
        second = "partial" if (one.prompt_id, one.variant) == ("h2", "masked") else None
        answers.append(replace(one, label=label, second_label=second))
    return services.runs.finish(running.id, replace(result, answers=tuple(answers)))


def test_harmful_and_benign_prompts_are_counted_apart(services: Services, changed: RunInfo) -> None:
    tables = services.results.answer_changes(changed.id).tables
    harmful = {(c.before, c.after): c.count for c in tables["harmful"].cells if c.count}
    benign = {(c.before, c.after): c.count for c in tables["benign"].cells if c.count}
    assert harmful == {("refusal", "compliance"): 4, ("refusal", "refusal"): 1, ("refusal", "degenerate"): 1}
    assert benign == {("compliance", "compliance"): 5}, "a prompt that was answered once is not counted"


def test_each_prompt_says_what_became_of_its_answer(services: Services, changed: RunInfo) -> None:
    prompts = services.results.answer_changes(changed.id).prompts
    assert [one.prompt_id for one in prompts] == ["h0", "b0", "h1", "b1", "h2", "b2", "h3", "b3", "h4", "b4", "h5"]
    third = prompts[4]
    assert (third.topic, third.label, third.before, third.after) == ("banking", "harmful", "refusal", "compliance")
    assert (third.margin, third.second_before, third.second_after) == (2.5, None, "partial")


def test_a_topic_narrows_tables_and_prompts_and_an_outcome_the_prompts_alone(
    services: Services, changed: RunInfo
) -> None:
    found = services.results.answer_changes(changed.id, ChangeFilter(topic="travel", after="degenerate"))
    assert [one.prompt_id for one in found.prompts] == ["h1"]
    assert (found.tables["harmful"].prompts, found.tables["benign"].prompts) == (3, 2)


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        (ChangeFilter(label="benign", topic="banking"), ["b0", "b2", "b4"]),
        (ChangeFilter(before="refusal", after="refusal"), ["h0"]),
        (ChangeFilter(prompt="h3"), ["h3"]),
        (ChangeFilter(topic="nowhere"), []),
    ],
)
def test_every_part_of_the_choice_counts(
    services: Services, changed: RunInfo, chosen: ChangeFilter, ids: list[str]
) -> None:
    assert [one.prompt_id for one in services.results.answer_changes(changed.id, chosen).prompts] == ids


@pytest.mark.parametrize(("field", "value"), [("label", "rude"), ("before", "shouting"), ("after", "")])
def test_a_label_that_there_is_not_is_named(field: str, value: str) -> None:
    with pytest.raises(InputError, match=f"unknown {field} '{value}'") as caught:
        ChangeFilter(**{field: value})
    assert caught.value.field == field


def test_a_run_without_a_result_has_no_changes(services: Services, queued: RunInfo) -> None:
    with pytest.raises(ConflictError):
        services.results.answer_changes(queued.id)
