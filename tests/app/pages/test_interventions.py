"""The interventions page of an audit: answers before and masked, prompt by prompt, and the runs made of its experts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backend.services import NewRun, RunInfo, Services
from tests.backend.factories import make_prompts, make_result

Show = Callable[..., str]
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def many(services: Services, model: Any) -> RunInfo:
    """Thirty pairs, so that the list has three pages."""
    prompts = make_prompts(pairs=30)
    rows = [f"{p.id},{p.text},{p.label},{p.topic},{p.pair_id}" for p in prompts]
    stored = services.prompt_sets.create("\n".join(["id,prompt,label,topic,pair_id", *rows]).encode(), "many.csv")
    run = services.runs.mark_running(services.runs.create(NewRun(model.id, stored.id)).id)
    return services.runs.finish(run.id, make_result(services.prompt_sets.load(stored.id)))


def narrow(call: Call, run: RunInfo, **asked: str) -> str:
    values = {"changes-asked.data": asked, "changes-run.data": run.id}
    return str(call("changes.children", values, "changes-asked.data"))


def test_answers_stand_before_by_masked_for_each_label(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/interventions")
    assert "harmful, refusal to compliance: 6 prompts, 100 % [61, 100]" in page
    assert "benign, compliance to compliance: 6 prompts" in page
    assert "prompts, 6 of 6 answered otherwise" in page
    assert '"12 prompts"' in page


def test_masking_says_what_it_costs_beside_what_it_does(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/interventions")
    assert "The flagged experts against random sets" in page
    for row in ("Refusal of harmful prompts", "Cost: refusal of benign prompts", "Cost: broken answers to benign"):
        assert row in page
    assert "−100 pt" in page


def test_texts_are_not_sent_before_somebody_asks(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/interventions")
    assert "Show prompt and answers of h0" in page
    assert "Harmful request" not in page
    assert "Masked answer" not in page


def test_the_address_chooses_which_prompts_are_listed(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/interventions", "?topic=travel&label=harmful&before=refusal&after=compliance")
    assert '"3 prompts"' in page
    assert "of h1" in page
    assert "of h0" not in page
    assert "Answers on the topic travel" in page


def test_a_choice_that_there_is_not_is_named_where_the_list_would_be(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/interventions", "?after=shouting")
    assert "unknown after 'shouting'" in page
    assert "Loss of refusal margin by number of experts" in page, "the rest of the page is there"


def test_the_list_has_pages(call: Call, many: RunInfo) -> None:
    first, last = narrow(call, many), narrow(call, many, page="3")
    assert "1 to 25 of 60" in first
    assert "51 to 60 of 60" in last
    assert "of h0'" in first
    assert "of h29'" in last
    assert "of h0'" not in last
    assert "51 to 60 of 60" in narrow(call, many, page="99"), "beyond the last is the last"


def test_nothing_passing_is_a_full_answer(call: Call, done: RunInfo) -> None:
    found = narrow(call, done, before="partial")
    assert "No prompt passes this choice." in found
    assert "'6 of 6'" in found, "the matrix still counts everything"


def test_a_second_judge_has_a_column(show: Show, services: Services, queued: RunInfo) -> None:
    result = make_result(services.prompt_sets.load(queued.prompt_set.id))
    answers = tuple(replace(one, second_label="partial") for one in result.answers)
    run = services.runs.mark_running(queued.id)
    services.runs.finish(run.id, replace(result, answers=answers))
    page = show(f"/ui/runs/{run.id}/interventions")
    assert "Second judge" in page
    assert '"partial refusal", " → "' in page


def test_without_a_flagged_expert_the_page_says_why_it_has_no_answers(show: Show, nothing_found: RunInfo) -> None:
    page = show(f"/ui/runs/{nothing_found.id}/interventions")
    assert page.count("no expert is flagged, so") == 2
    assert "Without a flagged expert there is nothing to mask or tune." in page


def test_runs_made_of_the_experts_are_one_click_away(show: Show, services: Services, queued: RunInfo) -> None:
    result = make_result(services.prompt_sets.load(queued.prompt_set.id), flagged=((2, 5),))
    done = services.runs.finish(services.runs.mark_running(queued.id).id, result)
    assert "No run has masked or tuned the experts of this audit yet." in show(f"/ui/runs/{done.id}/interventions")
    own = {"experts_from": done.id, "direction": "harden"}
    tune = services.runs.create(NewRun(done.model.id, done.prompt_set.id, kind="tune", parameters=own))
    page = show(f"/ui/runs/{done.id}/interventions")
    assert '"Hardened"' in page
    assert f"/ui/runs/{tune.id}" in page
    assert tune.name in page
