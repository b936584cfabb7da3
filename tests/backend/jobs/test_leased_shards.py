"""A killed process loses the shard it was in and nothing else, a frozen one its run, and two never have the same."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from analysis.shards import FolderShards
from backend.jobs.leased_shards import shard_folder
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services
from backend.settings import Settings
from tests.backend.jobs.shard_program import SHARDS, STALE_SECONDS

PARTS = [f"part-{index}" for index in range(SHARDS)]


@pytest.fixture
def run(services: Services, model: ModelInfo, prompt_set: PromptSetInfo) -> RunInfo:
    return services.runs.create(NewRun(model.id, prompt_set.id, "trace"))


@contextmanager
def process(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.backend.jobs.shard_program", str(settings.data_dir)]
    environment = dict(os.environ)
    if settings.database_url:
        environment["EXPERTSCOPE_DATABASE_URL"] = settings.database_url
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        try:
            yield running
        finally:
            running.kill()


def rest(running: subprocess.Popen[str]) -> list[str]:
    text, _ = running.communicate(timeout=120)
    assert running.returncode == 0
    return [line for line in text.splitlines() if line != "ready"]


def output(settings: Settings) -> list[str]:
    with process(settings) as running:
        return rest(running)


def wait_for(line: str, running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    for printed in running.stdout:
        if printed.strip() == line:
            return
    raise AssertionError(f"the process ended without printing '{line}'")


def times(settings: Settings, run: RunInfo) -> dict[str, int]:
    folder = shard_folder(settings, run.id)
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def computing(run: RunInfo, *indices: int) -> list[str]:
    return [f"computing {run.id} {index}" for index in indices]


@pytest.fixture
def killed(settings: Settings, services: Services, run: RunInfo) -> RunInfo:
    """A run whose process was killed while it computed the fourth of six shards."""
    with process(settings) as running:
        wait_for(f"computing {run.id} 3", running)
        running.kill()
    assert sorted(times(settings, run)) == [f"{key}.safetensors" for key in PARTS[:3]]
    assert sorted(services.attempts.receipts(run.id)) == PARTS[:3]
    return run


def test_another_worker_goes_on_from_the_last_shard_at_once(
    settings: Settings, services: Services, killed: RunInfo
) -> None:
    before = times(settings, killed)
    assert output(settings) == [*computing(killed, 3, 4, 5), f"done {killed.id}"]
    after = times(settings, killed)
    assert {name: after[name] for name in before} == before
    assert sorted(services.attempts.receipts(killed.id)) == PARTS
    ended = services.runs.get(killed.id)
    assert (ended.status, ended.attempts) == ("done", 2)
    assert output(settings) == []


def test_a_shard_damaged_in_the_meantime_is_computed_again(settings: Settings, killed: RunInfo) -> None:
    path = shard_folder(settings, killed.id) / "part-1.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert output(settings) == [*computing(killed, 1, 3, 4, 5), f"done {killed.id}"]


def test_a_shard_that_is_not_the_recorded_one_is_computed_again(settings: Settings, killed: RunInfo) -> None:
    folder = shard_folder(settings, killed.id)
    (folder / "part-1.safetensors").write_bytes((folder / "part-0.safetensors").read_bytes())
    assert output(settings)[0] == f"computing {killed.id} 1"


def test_a_whole_shard_without_a_receipt_is_kept(settings: Settings, services: Services, killed: RunInfo) -> None:
    """A kill fell between the file and its receipt. What a kill left half written is cleared away."""
    folder = shard_folder(settings, killed.id)
    kept = FolderShards(folder).read("part-2")
    assert kept is not None
    with services.database.write() as session:
        session.connection().exec_driver_sql("delete from run_shards where key = 'part-2'")
    (folder / ".part-3.half").write_bytes(b"half a shard")
    assert output(settings) == [*computing(killed, 3, 4, 5), f"done {killed.id}"]
    assert services.attempts.receipts(killed.id)["part-2"] == kept.sha256
    assert sorted(times(settings, killed)) == [f"{key}.safetensors" for key in PARTS]


def test_a_frozen_worker_loses_its_run_and_changes_nothing_when_it_wakes(
    settings: Settings, services: Services, run: RunInfo
) -> None:
    with process(settings) as frozen:
        wait_for(f"computing {run.id} 3", frozen)
        frozen.send_signal(signal.SIGSTOP)
        assert output(settings) == [*computing(run, 3, 4, 5), f"done {run.id}"]
        done, files = services.runs.get(run.id), times(settings, run)
        assert (done.status, done.attempts) == ("done", 2)
        frozen.send_signal(signal.SIGCONT)
        (last,) = rest(frozen)
        assert last.startswith(f"lost attempt 1 at run '{run.id}' was overtaken")
    assert services.runs.get(run.id) == done
    receipts = services.attempts.receipts(run.id)
    assert times(settings, run) == files
    assert sorted(receipts) == PARTS


def test_two_workers_share_the_queue_and_no_run(
    settings: Settings, services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    asked = NewRun(model.id, prompt_set.id, "trace")
    runs = [services.runs.create(asked) for _ in range(6)]
    with process(settings) as first, process(settings) as second:
        shares = rest(first), rest(second)
    done = [Counter(line for line in share if line.startswith("done")) for share in shares]
    assert sum(done, Counter()) == Counter(f"done {run.id}" for run in runs)
    assert all(done), "both had some"
    computed = Counter(line for share in shares for line in share if line.startswith("computing"))
    assert computed == Counter(line for run in runs for line in computing(run, *range(SHARDS)))
    assert {services.runs.get(run.id).attempts for run in runs} == {1}


def test_the_heartbeat_of_a_worker_elsewhere_decides(services: Services, run: RunInfo) -> None:
    """On another kernel nobody sees its lock, so its run is taken only once it has been silent."""
    assert services.settings.worker_stale_seconds > STALE_SECONDS
    services.workers.beat("far", 1)
    taken = services.attempts.take("far")
    assert taken is not None
    with services.database.write() as session:
        session.connection().exec_driver_sql("update workers set kernel = 'another'")
    assert services.attempts.take("near") is None
    with services.database.write() as session:
        session.connection().exec_driver_sql("update workers set seen = '2026-01-01 00:00:00'")
    again = services.attempts.take("near")
    assert again is not None
    assert (again.id, again.attempts) == (run.id, 2)
