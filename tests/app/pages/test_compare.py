"""The compare page: every state of it, and that its numbers are those of the service."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services
from tests.backend.factories import make_csv, make_result, with_answers

Show = Callable[..., str]


@pytest.fixture
def other(services: Services, model: ModelInfo, prompt_set: PromptSetInfo) -> RunInfo:
    """A second audit of the same prompts, which refuses two harmful ones less and flags another expert."""
    queued = services.runs.create(NewRun(model=model.id, prompt_set_id=prompt_set.id, preset="quick", seed=1))
    result = make_result(services.prompt_sets.load(prompt_set.id), seed=1, flagged=((2, 5), (3, 0)))
    return services.runs.finish(services.runs.mark_running(queued.id).id, with_answers(result, {"h0": "compliance"}))


def compared(show: Show, a: RunInfo, b: RunInfo, more: str = "") -> str:
    return show("/ui/compare", f"?a={a.id}&b={b.id}{more}")


def test_without_two_audits_it_says_what_is_needed(show: Show, done: RunInfo) -> None:
    page = show("/ui/compare")
    assert "Two audits are needed" in page
    assert "There is one finished audit" in page
    assert "/ui/runs/new" in page


def test_with_one_chosen_it_asks_for_the_other(show: Show, done: RunInfo, other: RunInfo) -> None:
    page = show("/ui/compare", f"?a={done.id}")
    assert "Choose the other audit above" in page
    assert f'"value": "{done.id}"' in page
    assert "compare-swap" not in page


def test_what_changed_comes_first_then_what_differs(show: Show, done: RunInfo, other: RunInfo) -> None:
    page = compared(show, done, other)
    assert "No change in answers that these prompts can show" in page
    assert "Both flag L2·E5; only A flags L1·E3; only B flags L3·E0." in page
    order = [
        page.index(text) for text in ("Both flag", "What differs between them", "Routing, B − A", "Flagged experts")
    ]
    assert order == sorted(order)


def test_a_change_that_is_shown_is_the_heading_and_not_said_twice(
    show: Show, services: Services, model: ModelInfo
) -> None:
    prompts = services.prompt_sets.create(make_csv(pairs=30), "many.csv")
    runs = []
    for lost in (0, 12):
        queued = services.runs.create(NewRun(model=model.id, prompt_set_id=prompts.id, preset="quick", seed=lost))
        result = make_result(services.prompt_sets.load(prompts.id))
        labels = {f"h{at}": "compliance" for at in range(lost)}
        runs.append(services.runs.finish(services.runs.mark_running(queued.id).id, with_answers(result, labels)))
    page = compared(show, *runs)
    assert re.search(r'\{"children": "B refuses 40 points [^"]*: 60 % against 100 %"\}, "type": "H1"', page)
    assert page.count("B refuses 40 points") == 1


def test_the_table_has_the_numbers_of_the_service(
    show: Show, services: Services, done: RunInfo, other: RunInfo
) -> None:
    change = services.comparisons.compare(done.id, other.id).outcomes["refusal_harmful"]
    assert (change.a.estimate, change.b.estimate, change.only_a, change.only_b) == (1.0, 5 / 6, 1, 0)
    page = compared(show, done, other)
    assert '"−17 pt' in page
    assert '"1 / 0"' in page


def test_flagged_experts_link_to_their_pages_in_both_runs(show: Show, done: RunInfo, other: RunInfo) -> None:
    page = compared(show, done, other)
    for heading in ("Only A, 1", "Both, 1", "Only B, 1"):
        assert heading in page
    for run in (done, other):
        assert f"/ui/runs/{run.id}/experts/2/5" in page


def test_the_link_that_swaps_names_b_first(show: Show, done: RunInfo, other: RunInfo) -> None:
    assert f"/ui/compare?a={other.id}&b={done.id}" in compared(show, done, other)


def test_a_choice_in_the_address_is_drawn(show: Show, done: RunInfo, other: RunInfo) -> None:
    page = compared(show, done, other, "&quantity=probability&group=topic:travel&window=boundary")
    assert "the last token before the answer begins" in page
    assert '"value": "topic:travel"' in page


def test_a_choice_that_does_not_exist_is_named(show: Show, done: RunInfo, other: RunInfo) -> None:
    assert "unknown group 'topic:moon'" in compared(show, done, other, "&group=topic:moon")


def test_another_quantity_redraws_the_heatmap(
    call: Callable[..., dict[str, Any]], done: RunInfo, other: RunInfo
) -> None:
    values = {
        "compare-quantity.value": "lift",
        "compare-group.value": "harmful",
        "compare-window.value": "prompt",
        "compare-runs.data": {"a": done.id, "b": other.id, "flagged": [[2, 5]]},
    }
    filled = call("compare-heatmap.figure", values, "compare-quantity.value")
    assert "Δ lift" in json.dumps(filled["compare-heatmap"]["figure"], ensure_ascii=False)
    assert filled["compare-caption"]["children"].startswith("Amber: more in B.")


def test_the_same_run_twice_is_said_to_be_one(show: Show, done: RunInfo) -> None:
    page = compared(show, done, done)
    assert "These two cannot be compared" in page
    assert "is compared with itself" in page


def test_a_run_that_is_not_finished_says_how_far_it_is(
    show: Show, services: Services, done: RunInfo, prompt_set: PromptSetInfo
) -> None:
    waiting = services.runs.create(NewRun(model=done.model.id, prompt_set_id=prompt_set.id))
    page = compared(show, done, waiting)
    assert "audit, queued" in page
    assert f"/ui/runs/{waiting.id}" in page


def test_a_tuning_leads_to_its_own_before_and_after(
    show: Show, services: Services, done: RunInfo, prompt_set: PromptSetInfo
) -> None:
    asked = NewRun(done.model.id, prompt_set.id, kind="tune", parameters={"experts": [[0, 1]]})
    tuning = services.runs.create(asked)
    page = compared(show, done, tuning)
    assert "only audits can be compared" in page
    assert "has before and after on its own page" in page
    assert f"/ui/runs/{tuning.id}" in page


def test_models_of_other_shapes_keep_their_outcomes(
    show: Show, services: Services, done: RunInfo, prompt_set: PromptSetInfo
) -> None:
    queued = services.runs.create(NewRun(model=done.model.id, prompt_set_id=prompt_set.id, seed=2))
    result = make_result(services.prompt_sets.load(prompt_set.id))
    result.report["model"] |= {"family": "mixtral"}
    strange = services.runs.finish(services.runs.mark_running(queued.id).id, result)
    page = compared(show, done, strange)
    assert "Refusal of harmful prompts" in page
    assert "the models differ in family" in page
    assert "compare-heatmap" not in page


def test_a_run_that_does_not_exist_is_not_found(show: Show, done: RunInfo) -> None:
    assert "no run has the id 'nobody'" in show("/ui/compare", f"?a={done.id}&b=nobody")


def test_an_audits_pages_lead_here(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}")
    assert re.search(rf'"href": "/ui/compare\?a={done.id}"', page)
