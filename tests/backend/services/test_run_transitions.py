"""How a run moves from status to status, and which ways are closed."""

import threading
from collections.abc import Callable

import pytest

from analysis.errors import ConflictError
from analysis.result import AuditResult
from backend.services import PromptSetInfo, RunInfo, Services
from tests.backend.factories import make_result


@pytest.fixture
def result(services: Services, prompt_set: PromptSetInfo) -> AuditResult:
    return make_result(services.prompt_sets.load(prompt_set.id))


def kinds(services: Services, run: RunInfo) -> list[str]:
    return [event.kind for event in services.runs.events(run.id)]


def test_a_run_that_goes_well(services: Services, queued: RunInfo, result: AuditResult) -> None:
    started = services.runs.mark_running(queued.id)
    assert (started.status, started.attempts) == ("running", 1)
    assert started.started is not None
    assert services.runs.report_progress(queued.id, "capture", 1, 4) is False
    done = services.runs.finish(queued.id, result)
    assert (done.status, done.headline, done.error) == ("done", "2 experts carry refusal.", None)
    assert done.finished is not None
    assert services.runs.get(queued.id) == done
    assert kinds(services, queued) == ["created", "started", "progress", "done"]


def test_events_are_numbered_and_can_be_read_from_any_point(services: Services, running: RunInfo) -> None:
    for done in range(3):
        services.runs.report_progress(running.id, "capture", done, 3)
    events = services.runs.events(running.id)
    assert [event.number for event in events] == [1, 2, 3, 4, 5]
    assert services.runs.events(running.id, after=4) == events[4:]
    assert events[4].data["stage"] == "capture"
    assert events[4].time >= events[0].time


def test_cancelling_a_waiting_run_ends_it_at_once(services: Services, queued: RunInfo) -> None:
    assert services.runs.cancel(queued.id).status == "cancelled"
    assert services.runs.queued() == []
    assert services.runs.cancel(queued.id).status == "cancelled"
    assert kinds(services, queued) == ["created", "cancelled"]


def test_cancelling_a_running_run_tells_the_worker_at_its_next_shard(services: Services, running: RunInfo) -> None:
    asked = services.runs.cancel(running.id)
    assert (asked.status, asked.cancel_requested) == ("running", True)
    services.runs.cancel(running.id)
    assert services.runs.report_progress(running.id, "capture", 1, 4) is True
    ended = services.runs.mark_cancelled(running.id)
    assert (ended.status, ended.cancel_requested) == ("cancelled", False)
    assert kinds(services, running) == ["created", "started", "cancel_requested", "progress", "cancelled"]


def test_a_failed_run_says_why_and_can_be_resumed(services: Services, running: RunInfo) -> None:
    failed = services.runs.fail(running.id, "the model folder is gone")
    assert (failed.status, failed.error) == ("failed", "the model folder is gone")
    resumed = services.runs.resume(running.id)
    assert (resumed.status, resumed.error, resumed.finished) == ("queued", None, None)
    again = services.runs.mark_running(running.id)
    assert (again.attempts, again.started) == (2, failed.started)


def test_a_cancelled_run_can_be_resumed_and_is_not_cancelled_again(services: Services, running: RunInfo) -> None:
    services.runs.cancel(running.id)
    services.runs.mark_cancelled(running.id)
    services.runs.resume(running.id)
    services.runs.mark_running(running.id)
    assert services.runs.report_progress(running.id, "capture", 1, 4) is False


def test_a_worker_that_was_killed_may_take_its_run_up_again(services: Services, running: RunInfo) -> None:
    assert services.runs.mark_running(running.id).attempts == 2


def test_finishing_twice_changes_nothing(services: Services, running: RunInfo, result: AuditResult) -> None:
    first = services.runs.finish(running.id, result)
    assert services.runs.finish(running.id, make_result(seed=9)) == first
    assert services.results.report(running.id) == result.report
    assert kinds(services, running).count("done") == 1


def test_a_result_that_cannot_be_stored_leaves_the_run_as_it_was(services: Services, running: RunInfo) -> None:
    broken = make_result()
    broken.report["experts"][3]["scores"]["raset"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        services.runs.finish(running.id, broken)
    assert services.runs.get(running.id).status == "running"
    with pytest.raises(ConflictError, match="no result"):
        services.results.report(running.id)


Move = Callable[[Services, str, AuditResult], object]
CLOSED: list[tuple[str, str, Move]] = [
    ("queued", "resumed", lambda s, i, r: s.runs.resume(i)),
    ("queued", "moved forward", lambda s, i, r: s.runs.report_progress(i, "capture", 1, 2)),
    ("queued", "finished", lambda s, i, r: s.runs.finish(i, r)),
    ("running", "resumed", lambda s, i, r: s.runs.resume(i)),
    ("done", "cancelled", lambda s, i, r: s.runs.cancel(i)),
    ("done", "resumed", lambda s, i, r: s.runs.resume(i)),
    ("done", "started", lambda s, i, r: s.runs.mark_running(i)),
    ("done", "failed", lambda s, i, r: s.runs.fail(i, "late")),
    ("failed", "cancelled", lambda s, i, r: s.runs.cancel(i)),
    ("failed", "finished", lambda s, i, r: s.runs.finish(i, r)),
    ("cancelled", "started", lambda s, i, r: s.runs.mark_running(i)),
    ("cancelled", "failed", lambda s, i, r: s.runs.fail(i, "late")),
]


@pytest.mark.parametrize(("status", "action", "move"), CLOSED, ids=[f"{s}-{a}" for s, a, _ in CLOSED])
def test_closed_ways(
    services: Services, queued: RunInfo, result: AuditResult, status: str, action: str, move: Move
) -> None:
    bring(services, queued.id, status, result)
    before = services.runs.get(queued.id), services.runs.events(queued.id)
    with pytest.raises(ConflictError, match=f"is {status} and cannot be {action}"):
        move(services, queued.id, result)
    assert (services.runs.get(queued.id), services.runs.events(queued.id)) == before


def bring(services: Services, run_id: str, status: str, result: AuditResult) -> None:
    if status in ("running", "done", "failed"):
        services.runs.mark_running(run_id)
    if status == "done":
        services.runs.finish(run_id, result)
    elif status == "failed":
        services.runs.fail(run_id, "it broke")
    elif status == "cancelled":
        services.runs.cancel(run_id)


def test_people_and_worker_at_once_lose_no_event(services: Services, running: RunInfo) -> None:
    def report() -> None:
        for done in range(10):
            services.runs.report_progress(running.id, "capture", done, 10)

    threads = [threading.Thread(target=report) for _ in range(3)]
    for thread in threads:
        thread.start()
    services.runs.cancel(running.id)
    for thread in threads:
        thread.join()
    assert [event.number for event in services.runs.events(running.id)] == list(range(1, 34))
