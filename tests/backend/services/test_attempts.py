"""Who may carry out a run, in which order, how often, and who may change nothing any more."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analysis.errors import ConflictError, QuotaError
from analysis.shards import FolderShards, Shard
from backend.access import Principal, Role, acting_as
from backend.db.tables import RunRow, WorkerRow
from backend.services import NewRun, RunDocument, RunInfo, RunLostError, Services, open_services, worker_locks
from backend.services.attempts import MAX_LOSSES
from backend.services.run_rows import MAX_TRIES
from backend.settings import Settings

DOCUMENT = RunDocument({"schema": "test", "verdict": {"sentence": "Done."}})


@pytest.fixture
def make(services: Services, new_run: NewRun) -> Callable[..., RunInfo]:
    def queue(**own: object) -> RunInfo:
        return services.runs.create(replace(new_run, kind="trace", **own))  # type: ignore[arg-type]

    return queue


def take(services: Services, worker_id: str = "w1") -> RunInfo:
    services.workers.beat(worker_id, 1)
    taken = services.attempts.take(worker_id)
    assert taken is not None
    return taken


def age(services: Services, worker_id: str) -> None:
    """The worker's heartbeat has lapsed."""
    with services.database.write() as session:
        row = session.get(WorkerRow, worker_id)
        assert row is not None
        row.seen -= timedelta(seconds=2 * services.settings.worker_stale_seconds)


def due(services: Services, run: RunInfo) -> None:
    """The pause is over."""
    with services.database.write() as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        row.retry_at = datetime.now(UTC)


def test_of_two_runs_the_one_of_higher_priority_goes_first_then_the_older(
    services: Services, make: Callable[..., RunInfo]
) -> None:
    low, first, second, high = (make(priority=one) for one in ("low", "normal", "normal", "high"))
    order = [high, first, second, low]
    assert services.runs.places() == {run.id: place for place, run in enumerate(order, start=1)}
    assert [run.id for run in services.runs.queued()] == [run.id for run in order]
    assert [take(services, f"w{number}").id for number in range(4)] == [run.id for run in order]
    assert services.attempts.take("w5") is None
    assert high.priority == "high"


def test_a_run_is_taken_by_one_worker_however_many_ask(services: Services, make: Callable[..., RunInfo]) -> None:
    runs, workers = [make() for _ in range(8)], 8
    for number in range(workers):
        services.workers.beat(f"w{number}", number)
    taken: list[str] = []
    start = threading.Barrier(workers)

    def ask(number: int) -> None:
        start.wait()
        found = services.attempts.take(f"w{number}")
        while found is not None:
            taken.append(found.id)
            services.runs.finish(found.id, DOCUMENT, found.attempts)
            found = services.attempts.take(f"w{number}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(run.id for run in runs)


def test_a_live_workers_run_is_its_own(services: Services, make: Callable[..., RunInfo]) -> None:
    make()
    take(services, "w1")
    services.workers.beat("w2", 2)
    assert services.attempts.take("w2") is None


def _keep(services: Services, run: RunInfo, files: FolderShards) -> None:
    with files.draft("part", Shard(meta={"by": run.attempts})) as put:
        services.attempts.keep(run.id, run.attempts, "part", "0" * 64, put)


LATE: dict[str, Callable[[Services, RunInfo, FolderShards], object]] = {
    "check": lambda s, r, f: s.attempts.check(r.id, r.attempts),
    "progress": lambda s, r, f: s.runs.report_progress(r.id, "capture", 1, 2, r.attempts),
    "shard": _keep,
    "postpone": lambda s, r, f: s.attempts.postpone(r.id, r.attempts, "why"),
    "shrink": lambda s, r, f: s.attempts.shrink(r.id, r.attempts, 8, "why"),
    "finish": lambda s, r, f: s.runs.finish(r.id, DOCUMENT, r.attempts, lambda: pytest.fail("put files in place")),
    "fail": lambda s, r, f: s.runs.fail(r.id, "why", r.attempts),
    "cancel": lambda s, r, f: s.runs.mark_cancelled(r.id, r.attempts),
}


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("meanwhile", ["running", "done", "resumed"])
def test_an_overtaken_attempt_changes_nothing(
    services: Services, make: Callable[..., RunInfo], tmp_path: Path, late: str, meanwhile: str
) -> None:
    make()
    old = take(services, "w1")
    age(services, "w1")
    new, files = take(services, "w2"), FolderShards(tmp_path / "shards")
    assert (new.id, new.attempts) == (old.id, 2)
    if meanwhile == "done":
        services.runs.finish(new.id, DOCUMENT, new.attempts)
    if meanwhile == "resumed":
        services.runs.fail(new.id, "why", new.attempts)
        services.runs.resume(new.id)
    services.workers.beat("w1", 1)  # it has woken up
    before = services.runs.get(new.id), services.runs.events(new.id)
    with pytest.raises(RunLostError, match=f"attempt 1 at run '{new.id}' was overtaken: attempt 2 goes on"):
        LATE[late](services, old, files)
    assert (services.runs.get(new.id), services.runs.events(new.id)) == before
    assert services.attempts.receipts(new.id) == {}
    assert list((tmp_path / "shards").glob("*")) == []


@pytest.mark.parametrize("late", ["check", "progress", "shard", "finish"])
def test_an_attempt_whose_run_waits_again_may_not_go_on(
    services: Services, make: Callable[..., RunInfo], tmp_path: Path, late: str
) -> None:
    make()
    run = take(services)
    services.attempts.postpone(run.id, run.attempts, "the database did not answer")
    with pytest.raises(ConflictError, match="is queued and cannot be"):
        LATE[late](services, run, FolderShards(tmp_path / "shards"))
    assert list((tmp_path / "shards").glob("*")) == []


def test_a_dead_workers_run_is_taken_at_once_where_its_lock_can_be_seen(
    services: Services, settings: Settings, make: Callable[..., RunInfo]
) -> None:
    make()
    with worker_locks.holding(settings, "w1"):
        run = take(services, "w1")
        lock = settings.data_dir / "workers" / "w1.lock"
        assert services.attempts.take("w2") is None
        kept = lock.read_bytes()
    lock.write_bytes(kept)  # a killed worker leaves the file, and nobody holds it
    again = take(services, "w2")
    assert (again.id, again.attempts) == (run.id, 2)
    services.workers.forget_dead()
    assert not lock.exists()
    assert services.workers.known() == {"w2"}


def test_a_worker_that_left_by_itself_has_cost_its_run_nothing(
    services: Services, make: Callable[..., RunInfo]
) -> None:
    make()
    for _ in range(MAX_LOSSES + 2):
        run = take(services, "w1")
        services.attempts.release("w1")
        services.workers.leave("w1")
    assert (run.status, run.attempts) == ("running", MAX_LOSSES + 2)


def test_a_run_that_is_lost_again_and_again_is_given_up(services: Services, make: Callable[..., RunInfo]) -> None:
    run = make()
    for _ in range(MAX_LOSSES + 1):
        take(services, "w1")
    assert services.attempts.take("w1") is None
    failed = services.runs.get(run.id)
    assert failed.status == "failed"
    assert str(failed.error).startswith(f"the worker died {MAX_LOSSES + 1} times during this run")
    services.runs.resume(run.id)
    assert take(services, "w1").attempts == MAX_LOSSES + 2


def test_a_new_shard_wipes_out_what_was_held_against_a_run(
    services: Services, make: Callable[..., RunInfo], tmp_path: Path
) -> None:
    make()
    for _ in range(2 * MAX_LOSSES):
        run = take(services, "w1")
        services.attempts.keep(run.id, run.attempts, "part", "0" * 64)
    assert run.attempts == 2 * MAX_LOSSES


def test_what_may_pass_is_tried_again_after_longer_and_longer_pauses(
    services: Services, make: Callable[..., RunInfo]
) -> None:
    """10, 40 and 160 seconds; the fourth failure is the last."""
    make()
    pauses = []
    for attempt in range(1, MAX_TRIES):
        run = take(services)
        waiting = services.attempts.postpone(run.id, run.attempts, "the disk is full")
        assert waiting.retry is not None
        assert (waiting.status, waiting.retry.attempt, waiting.retry.of) == ("queued", attempt + 1, MAX_TRIES)
        assert waiting.retry.reason == "the disk is full"
        pauses.append(round((waiting.retry.at - datetime.now(UTC)).total_seconds()))
        assert services.attempts.take("w1") is None
        due(services, run)
    assert pauses == [10, 40, 160]
    run = take(services)
    assert run.retry is None
    failed = services.attempts.postpone(run.id, run.attempts, "the disk is full")
    assert (failed.status, failed.error) == ("failed", "the disk is full (the last of 4 attempts)")
    told = [event.data for event in services.runs.events(run.id) if event.kind == "postponed"]
    assert [(one["attempt"], one["of"], one["seconds"]) for one in told] == [(2, 4, 10), (3, 4, 40), (4, 4, 160)]


def test_a_waiting_attempt_is_cancelled_like_any_waiting_run(services: Services, make: Callable[..., RunInfo]) -> None:
    make()
    run = take(services)
    services.runs.cancel(run.id)
    assert services.attempts.postpone(run.id, run.attempts, "why").status == "cancelled"
    services.runs.resume(run.id)
    run = take(services)
    services.attempts.postpone(run.id, run.attempts, "why")
    assert services.runs.cancel(run.id).retry is None


def test_a_person_may_have_so_many_runs_going(settings: Settings, services: Services, new_run: NewRun) -> None:
    bounded = open_services(settings.model_copy(update={"runs_per_user": 2}))
    ann, bob = (Principal(name, Role.ANALYST, "session") for name in ("ann", "bob"))
    with acting_as(ann):
        first, second = (bounded.runs.create(new_run, f"key-{number}") for number in range(2))
        with pytest.raises(
            QuotaError, match=r"^ann has 2 runs waiting or running, and at most 2 are allowed"
        ) as caught:
            bounded.runs.create(new_run)
        assert caught.value.status == 429
        assert bounded.runs.create(new_run, "key-0").id == first.id
    with acting_as(bob):
        assert bounded.runs.create(new_run).creator == "bob"
    bounded.runs.cancel(first.id)
    with acting_as(ann):
        third = bounded.runs.create(new_run)
    with pytest.raises(QuotaError):
        bounded.runs.resume(first.id)
    assert {run.status for run in map(bounded.runs.get, (second.id, third.id))} == {"queued"}
    bounded.close()
