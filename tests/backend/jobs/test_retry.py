"""What may pass is tried again with its reason, what cannot fails at once, memory that runs out halves the batch."""

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import event

from analysis.errors import JudgeError, JudgeSilentError, ModelError
from analysis.outcomes.judges.endpoint import Endpoint, EndpointJudge
from analysis.shards import Shard
from backend.jobs import jobs as jobs_module
from backend.jobs.jobs import Jobs
from backend.jobs.leased_shards import shard_folder
from backend.jobs.run_job import RunJob
from backend.jobs.work import WORK, Task
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunDocument, RunInfo, Services
from backend.settings import Settings

WORKER = "w1"
SHARDS = 3
LARGE = 4_000_000
"""Bytes of a shard, more than everything else in the data folder."""
Work = Callable[[Task, Any, Any], RunDocument]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"retry_seconds": 0.01})


@pytest.fixture
def run(services: Services, model: ModelInfo, prompt_set: PromptSetInfo) -> RunInfo:
    services.workers.beat(WORKER, 1)
    return services.runs.create(NewRun(model.id, prompt_set.id, "trace"))


@pytest.fixture
def jobs(services: Services, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """A worker whose models are there without being loaded."""
    monkeypatch.setattr(jobs_module, "FIRST_PAUSE_SECONDS", 0.01)
    job = RunJob(services)
    loaded = SimpleNamespace(description=SimpleNamespace(parameters=1))
    monkeypatch.setattr(job.model, "get", lambda *_: loaded)
    return Jobs(services, job, WORKER)


def work_until_ended(services: Services, jobs: Jobs, run: RunInfo) -> RunInfo:
    end = time.monotonic() + 300
    while services.runs.get(run.id).status in ("queued", "running"):
        assert time.monotonic() < end
        if not jobs.busy():
            jobs.start()
        time.sleep(0.01)
    return services.runs.get(run.id)


def shards(task: Task, trouble: Callable[[int], object] = lambda number: None, size: int = 8) -> RunDocument:
    """Three shards; `trouble` is asked before each is computed."""
    for number in range(SHARDS):

        def compute(number: int = number) -> Shard:
            trouble(number)
            return Shard({"x": np.full(size // 8, number)})

        task.progress("capture", number, SHARDS)
        task.shards.once(f"part-{number}", compute)
    return RunDocument({"schema": "test", "verdict": {"sentence": "Done."}})


def doing(monkeypatch: pytest.MonkeyPatch, work: Work) -> None:
    monkeypatch.setitem(WORK, "trace", work)  # type: ignore[arg-type]


class Failing:
    """Fails with `error` in the second shard, the first `times` times."""

    def __init__(self, error: BaseException, times: int) -> None:
        self.error, self.times = error, times

    def __call__(self, number: int) -> None:
        if number == 1 and self.times:
            self.times -= 1
            raise self.error


def postponed(services: Services, run: RunInfo) -> list[str]:
    return [one.data["message"] for one in services.runs.events(run.id) if one.kind == "postponed"]


PASSING: list[tuple[BaseException, str]] = [
    (OSError(errno.ENOSPC, "No space left on device"), "the disk of the data folder is full"),
    (JudgeSilentError("judge 'endpoint:a' at h cannot be reached", field="judge"), "judge 'endpoint:a' at h cannot"),
    (
        torch.AcceleratorError("CUDA error: launch failure\nCompile with…"),
        "the GPU was lost during capture",
    ),
    (RuntimeError("CUDA error: an illegal memory access was encountered"), "the GPU was lost during capture"),
]


@pytest.mark.parametrize(("error", "reason"), PASSING, ids=["disk", "judge", "gpu", "gpu-text"])
def test_a_failure_that_passes_costs_a_pause(
    services: Services,
    jobs: Jobs,
    run: RunInfo,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    reason: str,
) -> None:
    trouble = Failing(error, times=2)
    doing(monkeypatch, lambda task, *_: shards(task, trouble))
    ended = work_until_ended(services, jobs, run)
    assert (ended.status, ended.attempts, ended.error) == ("done", 3, None)
    assert len(postponed(services, run)) == 2
    assert all(message.startswith(reason) for message in postponed(services, run))


def test_a_failure_that_does_not_pass_is_the_runs_in_the_end(
    services: Services, jobs: Jobs, run: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Failing(OSError(errno.ENOSPC, "No space left on device"), times=99)
    doing(monkeypatch, lambda task, *_: shards(task, trouble))
    ended = work_until_ended(services, jobs, run)
    # The first shard is new in the first attempt, so that the count begins behind it: four failures in all.
    assert (ended.status, ended.attempts) == ("failed", 4)
    assert ended.error == (
        "the disk of the data folder is full (capture was being stored): make room (the last of 4 attempts)"
    )


FINAL = [
    ModelError("model 'm' cannot be loaded: no weights", field="model"),
    JudgeError("judge 'endpoint:a' at h refuses the key (401)", field="judge"),
    ValueError("shapes do not fit"),
    FileNotFoundError(errno.ENOENT, "No such file or directory"),
]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_what_would_come_again_fails_at_once(
    services: Services, jobs: Jobs, run: RunInfo, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    doing(monkeypatch, lambda task, *_: shards(task, Failing(error, times=1)))
    ended = work_until_ended(services, jobs, run)
    assert (ended.status, ended.attempts) == ("failed", 1)
    assert postponed(services, run) == []


def test_a_model_folder_that_is_away_for_a_moment(
    services: Services, run: RunInfo, model: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real folder is moved away and comes back; a folder with bad weights in it is another matter."""
    folder, away = Path(model.ref), tmp_path / "away"
    jobs = Jobs(services, RunJob(services), WORKER)
    doing(monkeypatch, lambda task, *_: shards(task))
    shutil.move(folder, away)
    try:
        assert jobs.start()
        while jobs.busy():
            time.sleep(0.01)
        waiting = services.runs.get(run.id)
        assert waiting.retry is not None
        assert "does not exist" in waiting.retry.reason
        assert str(folder.parent) not in waiting.retry.reason
    finally:
        shutil.move(away, folder)
    assert work_until_ended(services, jobs, run).status == "done"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may become larger, as on a disk that is full. The system refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_shard(
    services: Services, jobs: Jobs, run: RunInfo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    doing(monkeypatch, lambda task, *_: shards(task, size=LARGE))
    with largest_file(LARGE // 2):
        assert jobs.start()
        while jobs.busy():
            time.sleep(0.01)
        waiting = services.runs.get(run.id)
    assert waiting.retry is not None
    assert waiting.retry.reason.startswith("the disk of the data folder is full")
    assert list(shard_folder(settings, run.id).iterdir()) == []
    assert work_until_ended(services, jobs, run).status == "done"
    assert len(list(shard_folder(settings, run.id).iterdir())) == SHARDS


def test_a_disk_that_takes_nothing_at_all(
    services: Services, jobs: Jobs, run: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even that the run waits can be stored: it stays the worker's, who goes on with it once there is room."""
    if services.settings.database_url:
        pytest.skip("the database is elsewhere")
    journal = services.settings.data_dir / "expertscope.db-wal"
    full = ExitStack()

    def fill_up(number: int) -> None:
        full.enter_context(largest_file(journal.stat().st_size))

    doing(monkeypatch, lambda task, *_: shards(task, fill_up))
    assert jobs.start()
    while jobs.busy():
        time.sleep(0.01)
    full.close()
    left = services.runs.get(run.id)
    assert (left.status, left.attempts, left.retry) == ("running", 1, None)
    doing(monkeypatch, lambda task, *_: shards(task))
    ended = work_until_ended(services, jobs, run)
    assert (ended.status, ended.attempts) == ("done", 2)


def test_a_database_that_is_locked_for_long(
    services: Services, jobs: Jobs, run: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else holds SQLite's write lock for longer than this worker waits for it."""
    if services.settings.database_url:
        pytest.skip("PostgreSQL locks rows")
    event.listen(services.database.engine, "begin", lambda one: one.exec_driver_sql("PRAGMA busy_timeout=50"))
    other = sqlite3.connect(
        services.settings.data_dir / "expertscope.db", isolation_level=None, check_same_thread=False
    )

    def hold(number: int) -> None:
        if number == 1:
            other.execute("BEGIN IMMEDIATE")

    doing(monkeypatch, lambda task, *_: shards(task, hold))
    assert jobs.start()
    while jobs.busy():
        time.sleep(0.01)
    other.execute("ROLLBACK")
    other.close()
    assert services.runs.get(run.id).status == "running"
    doing(monkeypatch, lambda task, *_: shards(task))
    assert work_until_ended(services, jobs, run).status == "done"


def test_memory_that_runs_out_halves_the_batch_until_it_fits(
    services: Services, jobs: Jobs, run: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def work(task: Task, *_: object) -> RunDocument:
        def trouble(number: int) -> None:
            tried.append((number, task.batch_tokens))
            if number == 1 and task.batch_tokens > 2_048:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

        return shards(task, trouble)

    doing(monkeypatch, work)
    ended = work_until_ended(services, jobs, run)
    assert (ended.status, ended.attempts, ended.batch_tokens) == ("done", 1, 2_048)
    assert tried == [(0, 8_192), (1, 8_192), (1, 4_096), (1, 2_048), (2, 2_048)]
    told = [one.data["message"] for one in services.runs.events(run.id) if one.kind == "smaller_batches"]
    assert told == [
        "the GPU ran out of memory during capture with batches of 8,192 tokens: trying 4,096",
        "the GPU ran out of memory during capture with batches of 4,096 tokens: trying 2,048",
    ]


def test_the_batch_size_is_remembered_and_one_prompt_at_a_time_is_the_end(
    services: Services, jobs: Jobs, run: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def work(task: Task, *_: object) -> RunDocument:
        sizes.append(task.batch_tokens)
        raise MemoryError

    doing(monkeypatch, work)
    ended = work_until_ended(services, jobs, run)
    assert ended.status == "failed"
    assert str(ended.error).endswith("(one prompt at a time was tried last)")
    assert sizes == [8_192 >> step for step in range(14)]
    services.runs.resume(run.id)
    work_until_ended(services, jobs, run)
    assert sizes[14:] == [1]


@pytest.mark.parametrize(
    ("status", "kind"), [(503, JudgeSilentError), (401, JudgeError)], ids=["overloaded", "bad-key"]
)
def test_a_judge_says_whether_it_may_answer_later(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[JudgeError]
) -> None:
    import httpx

    judge = EndpointJudge("endpoint:a", Endpoint("http://127.0.0.1:1/v1", "m", retries=0))
    monkeypatch.setattr(
        EndpointJudge,
        "_client",
        lambda self: httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(status))),
    )
    with pytest.raises(JudgeError) as caught:
        judge.judge("Tell me.", "Certainly, here is how it is done in general.")
    assert type(caught.value) is kind


def test_a_lost_gpu_makes_the_worker_a_fresh_process(settings: Settings, services: Services, run: RunInfo) -> None:
    command = [sys.executable, "-m", "tests.backend.jobs.gpu_program", str(settings.data_dir)]
    environment = {**os.environ, "EXPERTSCOPE_RETRY_SECONDS": "0.1"}
    if settings.database_url:
        environment["EXPERTSCOPE_DATABASE_URL"] = settings.database_url
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.split()[0] == "lost"
    assert second.split()[0] == "done"
    assert first.split()[1] == second.split()[1], "the same process id, so whoever watches it sees no death"
    ended = services.runs.get(run.id)
    assert (ended.status, ended.attempts) == ("done", 2)
    assert postponed(services, run)[0].startswith("the GPU was lost during capture (CUDA error: device-side assert")
