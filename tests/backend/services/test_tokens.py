"""The tokens that a run has kept come back as they were, and what is missing is explained."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.errors import NotFoundError
from backend.services import NewRun, PromptSetInfo, RunInfo, Services, hidden_parts, readable_texts
from backend.services.stored_result import store_result
from backend.settings import Settings
from tests.backend.factories import make_result


def finish(services: Services, new_run: NewRun, keep: int) -> RunInfo:
    """A run that kept the tokens of its first prompts only."""
    running = services.runs.mark_running(services.runs.create(new_run).id)
    result = make_result(services.prompt_sets.load(running.prompt_set.id))
    return services.runs.finish(running.id, replace(result, tokens=result.tokens[:keep]))


def test_traces_come_back_unchanged(services: Services, done: RunInfo, prompt_set: PromptSetInfo) -> None:
    for kept in make_result(services.prompt_sets.load(prompt_set.id)).tokens:
        found = services.results.tokens(done.id, kept.prompt_id)
        assert (found.tokens, found.parts, found.layers) == (kept.tokens, kept.parts, kept.layers)
        np.testing.assert_array_equal(found.ids, kept.ids)
        np.testing.assert_array_equal(found.weights, kept.weights)


def test_the_kept_prompts_are_listed_in_their_sets_order(services: Services, new_run: NewRun) -> None:
    listed = services.results.traced_prompts(finish(services, new_run, 3).id)
    assert [(one.prompt_id, one.label, one.topic, one.pair_id) for one in listed] == [
        ("h0", "harmful", "banking", "p0"),
        ("b0", "benign", "banking", "p0"),
        ("h1", "harmful", "travel", "p1"),
    ]


def test_a_prompt_outside_of_the_sample_is_told_what_there_is(services: Services, new_run: NewRun) -> None:
    run = finish(services, new_run, 3)
    with pytest.raises(NotFoundError, match=r"kept the tokens of 3 of the 12 prompts of its set, without 'b4'"):
        services.results.tokens(run.id, "b4")


def test_a_prompt_that_is_not_in_the_set_is_named(services: Services, done: RunInfo) -> None:
    with pytest.raises(NotFoundError, match="there is no prompt 'x9' in the set 'requests'"):
        services.results.tokens(done.id, "x9")


def test_a_run_from_before_tokens_were_kept_says_so(services: Services, new_run: NewRun) -> None:
    run = finish(services, new_run, 0)
    assert services.results.traced_prompts(run.id) == []
    with pytest.raises(NotFoundError, match=r"made before they were kept\. Start a new run"):
        services.results.tokens(run.id, "h0")


def test_storing_a_result_again_replaces_its_tokens(services: Services, new_run: NewRun) -> None:
    run = finish(services, new_run, 4)
    with services.database.write() as session:
        result = make_result(services.prompt_sets.load(run.prompt_set.id))
        store_result(session, run.id, replace(result, tokens=result.tokens[:2]))
    assert len(services.results.traced_prompts(run.id)) == 2


def test_hidden_completions_hide_the_answers_tokens_alone(
    services: Services, done: RunInfo, settings: Settings
) -> None:
    trace = services.results.tokens(done.id, "h0")
    assert readable_texts(trace, settings) == [*trace.tokens]
    hiding = settings.model_copy(update={"hide_completions": True})
    assert hidden_parts(hiding) == {"response"}
    shown = readable_texts(trace, hiding)
    answered = trace.parts.count("response")
    assert shown == [*trace.tokens[:-answered], *[None] * answered]
