"""/ui/runs: the queue that can be watched, narrowed by address, cancelled from, and compared from."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.pages.runs.listing import Chosen, changed, live_cell, waiting
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services
from tests.app.conftest import Show

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def second(services: Services, queued: RunInfo) -> RunInfo:
    return services.runs.create(NewRun(model=queued.model.id, prompt_set_id=queued.prompt_set.id, seed=1))


def test_waiting_runs_have_their_place(show: Show, services: Services, queued: RunInfo, second: RunInfo) -> None:
    assert show("/ui/runs").count("Waiting: no worker is running") == 2
    services.workers.beat("worker", 1)
    page = show("/ui/runs")
    assert "Next in the queue" in page
    assert "2nd in the queue" in page


def test_the_queue_shows_its_order(
    show: Show, services: Services, model: ModelInfo, prompt_set: PromptSetInfo, queued: RunInfo
) -> None:
    services.workers.beat("worker", 1)
    services.runs.create(NewRun(model.id, prompt_set.id, priority="high"))
    page = show("/ui/runs")
    assert "Next in the queue, high priority" in page
    assert "2nd in the queue" in page


@pytest.mark.parametrize(
    ("place", "alive", "text"),
    [(1, True, "Next in the queue"), (3, True, "3rd in the queue"), (1, False, "Waiting: no worker is running")],
)
def test_a_place_in_words(place: int, alive: bool, text: str) -> None:
    assert waiting(place, alive) == text


def test_a_running_run_shows_stage_and_time_left(services: Services, queued: RunInfo) -> None:
    services.runs.mark_running(queued.id)
    services.runs.report_progress(queued.id, "capture", 3, 8)
    run = services.runs.get(queued.id)
    assert run.progress is not None
    text = str(live_cell(replace(run, progress=replace(run.progress, eta_seconds=75)), None, True))
    assert "Tracing the prompts: 3 of 8" in text
    assert "about 1 min 15 s left" in text


def test_only_a_change_of_status_draws_the_list_anew(services: Services, queued: RunInfo) -> None:
    drawn = [{"run": queued.id, "status": "queued"}]
    assert changed(drawn, [services.runs.get(queued.id)]) is False
    services.runs.mark_running(queued.id)
    assert changed(drawn, [services.runs.get(queued.id)]) is True


def test_typing_narrows_the_list(call: Call, services: Services, queued: RunInfo, second: RunInfo) -> None:
    def listed(**values: Any) -> str:
        query = {"status": None, "kind": None, "model": None, "search": None, "cursor": None}
        given = {"runs-query.data": query, **{f"runs-{name}.value": value for name, value in values.items()}}
        return str(call("runs-list.children", given, "runs-search.value")["runs-list"])

    assert "2 runs" in listed(search="")
    assert "2 runs with “requests”" in listed(search="requests")
    assert "No run matches" in listed(search="nothing like it")
    assert "2 runs of tiny-qwen" in listed(model="tiny-qwen")


def test_the_address_narrows_the_list_by_everything(show: Show, done: RunInfo) -> None:
    found = show("/ui/runs", "?kind=audit&status=done&model=tiny-qwen&search=requests")
    assert "1 audit run done of tiny-qwen with “requests”" in found
    assert "Latest audit" not in found
    assert "model=tiny-qwen&search=requests" in found, "the pills keep what the list is narrowed to"
    assert "No run matches" in show("/ui/runs", "?search=elsewhere")


def test_the_polling_stops_with_the_last_run(call: Call, show: Show, services: Services, queued: RunInfo) -> None:
    values = {"runs-query.data": {"status": None, "kind": None, "model": None, "search": None, "cursor": None}}
    assert call("runs-list.children", values, "runs-changed.data")["runs-poll"]["disabled"] is False
    services.runs.cancel(queued.id)
    assert call("runs-list.children", values, "runs-changed.data")["runs-poll"]["disabled"] is True


def test_two_finished_audits_can_be_compared(
    show: Show, services: Services, model: ModelInfo, prompt_set: PromptSetInfo, done: RunInfo
) -> None:
    from tests.backend.factories import make_result

    assert "Choose two audits to compare" not in show("/ui/runs"), "one alone has no other"
    other = services.runs.create(NewRun(model=model.id, prompt_set_id=prompt_set.id, seed=1))
    services.runs.mark_running(other.id)
    services.runs.finish(other.id, make_result(services.prompt_sets.load(prompt_set.id)))
    page = show("/ui/runs")
    assert "Choose two audits to compare" in page
    assert page.count('"type": "run-pick"') == 2


def test_what_is_chosen_stands_in_one_address() -> None:
    chosen = Chosen(status="done", kind="audit", model="m", search="a b", cursor="c")
    assert chosen.address == "/ui/runs?status=done&kind=audit&model=m&search=a+b&cursor=c"
    assert Chosen(cursor="c").filtered is False
    assert chosen.filtered is True
