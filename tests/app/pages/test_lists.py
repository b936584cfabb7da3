"""Runs, prompt sets and models as lists; and what a run shows before it has a result."""

import re
from collections.abc import Callable
from typing import Any

from backend import formats
from backend.services import ModelInfo, PromptSetInfo, RunInfo, Services

Show = Callable[..., str]


def test_without_a_run_the_page_says_what_will_stand_there(show: Show) -> None:
    page = show("/ui/runs")
    assert "No run yet" in page
    assert "/ui/runs/new" in page


def test_the_newest_verdict_stands_above_the_list(show: Show, done: RunInfo) -> None:
    page = show("/ui/")
    assert "Latest audit" in page
    assert f"/ui/runs/{done.id}" in page
    assert "2 experts carry refusal" in page
    assert '"100 %"' in page


def test_a_list_can_show_one_status_only(show: Show, done: RunInfo) -> None:
    assert "1 run done" in show("/ui/runs", "?status=done")
    page = show("/ui/runs", "?status=failed")
    assert "No run matches" in page
    assert "Latest audit" not in page


def test_a_status_that_does_not_exist_is_named(show: Show) -> None:
    assert "unknown status 'lost'" in show("/ui/runs", "?status=lost")


def test_a_waiting_run_says_that_no_worker_is_there(show: Show, services: Services, queued: RunInfo) -> None:
    assert "no worker is running" in show(f"/ui/runs/{queued.id}")
    services.workers.beat("w", 1)
    assert "Waiting for the worker" in show(f"/ui/runs/{queued.id}")


def test_a_running_run_shows_its_stage_and_what_is_left(show: Show, services: Services, queued: RunInfo) -> None:
    services.runs.mark_running(queued.id)
    services.runs.report_progress(queued.id, "capture", 3, 8)
    page = show(f"/ui/runs/{queued.id}/routing")  # any tab, since none has anything to show yet
    assert "Tracing the prompts" in page
    assert "3 of 8 parts" in page
    assert '"Cancel"' in page
    poll = re.search(r'\{[^{}]*"id": "run-poll"[^{}]*\}', page)
    assert poll is not None
    assert '"disabled": false' in poll[0]


def test_a_run_that_waits_for_its_next_attempt_says_why_and_how_long(
    show: Show, services: Services, queued: RunInfo
) -> None:
    services.workers.beat("w", 1)
    run = services.attempts.take("w")
    assert run is not None
    services.attempts.shrink(run.id, run.attempts, 4_096, "the GPU ran out of memory")
    services.attempts.postpone(run.id, run.attempts, "the database did not answer")
    page = show(f"/ui/runs/{queued.id}")
    assert "Waiting to try again" in page
    assert re.search(r"Waiting (9|10) s, attempt 2 of 4, because the database did not answer\.", page)
    assert f"Memory ran out: at most {formats.count(4096)} tokens go through the model at once." in page
    assert "attempt 2 of 4 after a pause" in show("/ui/runs")


def test_a_failed_run_says_why_and_can_go_on(show: Show, services: Services, queued: RunInfo) -> None:
    services.runs.fail(queued.id, "the disk is full: free 2 GB and resume")
    page = show(f"/ui/runs/{queued.id}")
    assert "the disk is full: free 2 GB and resume" in page
    assert '"Resume"' in page


def test_polling_ends_with_the_run(call: Callable[..., dict[str, Any]], services: Services, queued: RunInfo) -> None:
    values = {"run-poll.n_intervals": 7, "run-polled.data": queued.id}
    assert "page-reload" not in call("run-progress.children", values, "run-poll.n_intervals")
    services.runs.cancel(queued.id)
    ended = call("run-progress.children", values, "run-poll.n_intervals")
    assert "cancelled" in ended["page-reload"]["data"]
    assert "run-progress" not in ended


def test_prompt_sets_are_listed_with_their_counts(show: Show, prompt_set: PromptSetInfo) -> None:
    page = show("/ui/prompt-sets")
    assert "requests" in page
    assert f"/ui/prompt-sets/{prompt_set.id}" in page


def test_a_prompt_set_shows_its_prompts_page_by_page(show: Show, services: Services) -> None:
    rows = "\n".join(f"question number {i},benign" for i in range(60))
    stored = services.prompt_sets.create(f"prompt,label\n{rows}".encode(), "many.csv")
    first, second = show(f"/ui/prompt-sets/{stored.id}"), show(f"/ui/prompt-sets/{stored.id}", "?from=50")
    assert "question number 49" in first
    assert "question number 50" not in first
    assert "question number 50" in second
    assert "51–60 of 60" in second


def test_models_are_listed_with_what_was_found_in_them(show: Show, model: ModelInfo) -> None:
    page = show("/ui/models")
    assert model.name in page
    assert "qwen3_moe" in page
    assert f"/ui/runs/new?model={model.id}" in page


def test_a_model_has_a_page_with_what_it_is_made_of_and_its_runs(show: Show, queued: RunInfo) -> None:
    page = show(f"/ui/models/{queued.model.id}")
    for fact in (
        "8 a layer, 3 selected per token",
        "Traced exactly",
        queued.name,
        f"/ui/runs/new?model={queued.model.id}",
    ):
        assert fact in page


def test_a_prompt_set_has_its_balance_its_filters_and_its_runs(show: Show, queued: RunInfo) -> None:
    address = f"/ui/prompt-sets/{queued.prompt_set.id}"
    assert queued.name in show(address)
    assert "set-balance" in show(address)
    filtered = show(address, "?label=benign&topic=travel")
    assert "1–3 of 3" in filtered
    assert "Benign request 1 about travel" in filtered
    assert "Harmful request" not in filtered


def test_the_texts_of_a_set_are_hidden_where_the_server_hides_prompts(
    show: Show, services: Services, prompt_set: PromptSetInfo
) -> None:
    object.__setattr__(services, "settings", services.settings.model_copy(update={"hide_prompts": True}))
    for address in (f"/ui/prompt-sets/{prompt_set.id}", "/ui/runs/new"):
        page = show(address)
        assert "request 0 about banking" not in page
    assert "The text of prompts is hidden on this server." in show(f"/ui/prompt-sets/{prompt_set.id}")


def test_the_import_page_stands_before_the_page_of_a_set(show: Show) -> None:
    page = show("/ui/prompt-sets/import")
    assert "Nothing is stored before Import is pressed." in page
    assert "import-upload" in page
