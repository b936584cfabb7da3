"""A real worker process on a real database and a real model: what people see of runs while it lives and dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from analysis.organisms import organism_path
from backend.services import ModelInfo, NewRun, RunInfo, Services
from backend.settings import Settings
from tests.tiny_models import save_tiny_model

PATIENCE_SECONDS = 300
PROMPTS = 24


class Process:
    """A worker process; its log is kept for the message of a test that fails."""

    def __init__(self, settings: Settings) -> None:
        command = [sys.executable, "-m", "backend.cli", "worker", "--data", str(settings.data_dir)]
        environment = {**os.environ, "EXPERTSCOPE_FIRST_RUN": "false", "OMP_NUM_THREADS": "1"}
        self.popen = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert self.popen.stderr is not None
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, args=(self.popen.stderr,))
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        self.lines.extend(stream)

    def wait_until(self, true: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not true():
            assert self.popen.poll() is None, f"the worker ended before {what}:\n{''.join(self.lines)}"
            assert time.monotonic() < end, f"not within {PATIENCE_SECONDS} s: {what}\n{''.join(self.lines)}"
            time.sleep(0.02)

    def end(self, number: int) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(60)

    def close(self) -> None:
        self.popen.kill()
        self.popen.wait()
        self._reader.join()
        assert self.popen.stderr is not None
        self.popen.stderr.close()


@contextmanager
def worker(settings: Settings) -> Iterator[Process]:
    process = Process(settings)
    try:
        yield process
    finally:
        process.close()


@pytest.fixture
def prompt_set_id(services: Services) -> str:
    """The first pairs of the organism's own set: all of it would take a minute."""
    lines = (organism_path("planted") / "prompts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    return services.prompt_sets.create("".join(lines[: PROMPTS + 1]).encode(), "few.csv").id


@pytest.fixture
def queued(services: Services, prompt_set_id: str) -> RunInfo:
    return services.runs.create(NewRun(model="organism:planted", prompt_set_id=prompt_set_id, preset="quick"))


def shard_times(settings: Settings, run: RunInfo) -> dict[str, int]:
    folder = settings.run_dir(run.id) / "shards"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}


def status(services: Services, run: RunInfo) -> str:
    return services.runs.get(run.id).status


def test_a_run_whose_worker_was_killed_goes_on_and_ends_with_a_report(
    settings: Settings, services: Services, queued: RunInfo
) -> None:
    with worker(settings) as first:
        first.wait_until(lambda: len(shard_times(settings, queued)) >= 3, "three shards are there")
        first.end(signal.SIGKILL)
    finished = shard_times(settings, queued)
    assert len(finished) >= 3
    assert status(services, queued) == "running"

    with worker(settings) as second:
        second.wait_until(lambda: status(services, queued) != "running", "the run has ended")
        assert second.end(signal.SIGTERM) == 0
    run = services.runs.get(queued.id)
    assert (run.status, run.error, run.attempts) == ("done", None, 2)
    after = shard_times(settings, queued)
    assert {name: after[name] for name in finished} == finished
    assert len(after) > len(finished)
    report = services.results.report(queued.id)
    assert report["schema"] == "expertscope.report/1"
    assert report["prompts"]["harmful"] == PROMPTS // 2
    assert run.headline == report["verdict"]["sentence"]


def test_a_tuning_whose_worker_was_killed_goes_on_and_leaves_its_adapter_whole(
    settings: Settings, services: Services, prompt_set_id: str
) -> None:
    own = {"experts": "0:1,2:10", "steps": 2, "controls": 3}
    asked = NewRun("organism:planted", prompt_set_id, "tune", "quick", parameters=own)
    queued = services.runs.create(asked)
    with worker(settings) as first:
        first.wait_until(lambda: len(shard_times(settings, queued)) >= 4, "the first control is there")
        first.end(signal.SIGKILL)
    finished = shard_times(settings, queued)
    assert status(services, queued) == "running"
    with worker(settings) as second:
        second.wait_until(lambda: status(services, queued) != "running", "the run has ended")
        assert second.end(signal.SIGTERM) == 0
    run = services.runs.get(queued.id)
    assert (run.status, run.error, run.attempts) == ("done", None, 2)
    after = shard_times(settings, queued)
    assert {name: after[name] for name in finished} == finished
    assert services.documents.get(queued.id)["schema"] == "expertscope.tune/1"
    assert services.documents.has_file(queued.id, "adapter.zip")
    assert [path.name for path in settings.run_dir(queued.id).iterdir() if path.name.startswith(".")] == []


def test_cancel_takes_hold_between_shards_and_resume_keeps_what_is_there(
    settings: Settings, services: Services, queued: RunInfo
) -> None:
    with worker(settings) as process:
        process.wait_until(lambda: len(shard_times(settings, queued)) >= 2, "two shards are there")
        services.runs.cancel(queued.id)
        process.wait_until(lambda: status(services, queued) != "running", "the run has stopped")
        assert status(services, queued) == "cancelled"
        kept = shard_times(settings, queued)

        services.runs.resume(queued.id)
        process.wait_until(lambda: status(services, queued) not in ("queued", "running"), "the run has ended")
    assert status(services, queued) == "done"
    after = shard_times(settings, queued)
    assert {name: after[name] for name in kept} == kept


def test_a_run_that_fails_says_why_in_one_line_and_the_worker_takes_the_next(
    settings: Settings, services: Services, prompt_set_id: str, tmp_path: Path
) -> None:
    folder = save_tiny_model("mixtral", tmp_path / "mixtral")
    model: ModelInfo = services.models.register(str(folder))
    broken = services.runs.create(NewRun(model=model.id, prompt_set_id=prompt_set_id, preset="quick"))
    (folder / "model.safetensors").write_bytes(b"no weights")
    other = save_tiny_model("olmoe", tmp_path / "olmoe")
    good = services.runs.create(NewRun(model=str(other), prompt_set_id=prompt_set_id, preset="quick"))

    with worker(settings) as process:
        process.wait_until(lambda: status(services, broken) == "failed", "the broken run has failed")
        process.wait_until(lambda: status(services, good) not in ("queued", "running"), "the good run has ended")
    error = services.runs.get(broken.id).error
    assert error is not None
    assert "cannot be loaded" in error
    assert "\n" not in error
    assert str(tmp_path) not in error
    assert status(services, good) == "done"


def test_two_workers_share_a_data_folder_and_one_goes_on_where_the_other_was_killed(
    settings: Settings, services: Services, queued: RunInfo
) -> None:
    with worker(settings) as first, worker(settings) as second:
        first.wait_until(lambda: len(shard_times(settings, queued)) >= 2, "two shards are there")
        owner, heir = (first, second) if any("run taken up" in line for line in first.lines) else (second, first)
        owner.end(signal.SIGKILL)
        heir.wait_until(lambda: status(services, queued) != "running", "the run has ended")
        assert heir.end(signal.SIGTERM) == 0
    assert (status(services, queued), services.runs.get(queued.id).attempts) == ("done", 2)
    assert [path for path in (settings.data_dir / "workers").iterdir() if path.suffix != ".lock"] == []
    assert services.workers.list() == []


def test_a_worker_that_ends_by_itself_says_nothing_of_the_pipe_it_watches() -> None:
    """The interpreter dies at its end where a thread still holds the lock of a buffered standard input."""
    code = "from backend.jobs.worker import die_with_parent; die_with_parent()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(30) == 0
