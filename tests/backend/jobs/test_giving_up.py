"""A run that cannot be carried out is given up instead of being begun for ever."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.shards import ShardStore
from backend.jobs.durable import MAX_ERRORS, Jobs
from backend.settings import Settings


def test_a_run_that_takes_its_worker_down_again_and_again(tmp_path: Path) -> None:
    recoveries = 2
    command = [sys.executable, "-m", "tests.backend.jobs.fatal_program", str(tmp_path), str(recoveries)]
    codes = [subprocess.run(command, capture_output=True).returncode for _ in range(recoveries + 1)]
    assert codes == [9] * (recoveries + 1)
    last = subprocess.run(command, capture_output=True, text=True)
    assert last.returncode == 0
    assert last.stdout.startswith(f"the worker died {recoveries + 1} times during this run")


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Jobs]:
    def perform(run_id: str, shards: ShardStore) -> str:
        raise OSError("the database is gone")

    jobs = Jobs(Settings(data_dir=tmp_path), perform)
    yield jobs
    jobs.close()


def test_a_run_whose_state_cannot_be_stored(failing: Jobs) -> None:
    for _ in range(MAX_ERRORS):
        assert failing.given_up("run1") is None
        failing.start("run1")
        while failing.busy():
            time.sleep(0.02)
    assert failing.given_up("run1") == "the worker could not store this run's state 3 times; its log says why"
    assert failing.given_up("run2") is None
