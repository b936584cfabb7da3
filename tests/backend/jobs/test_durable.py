"""A killed process loses the shard it was in and nothing else."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

RUN = "run1"


@contextmanager
def process(data: Path, *runs: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.backend.jobs.durable_program", str(data), *runs]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def output(data: Path, *runs: str) -> list[str]:
    with process(data, *runs) as running:
        text, _ = running.communicate(timeout=120)
        assert running.returncode == 0
    return text.splitlines()


def kill_at(line: str, running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    for printed in running.stdout:
        if printed.strip() == line:
            os.kill(running.pid, signal.SIGKILL)
            return
    raise AssertionError(f"the process ended without printing '{line}'")


def shards(data: Path) -> Path:
    return data / "runs" / RUN / "shards"


def times(data: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in shards(data).glob("*.safetensors")}


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A data folder whose process was killed while it computed the fourth of six shards."""
    data = tmp_path / "data"
    data.mkdir()
    with process(data, RUN) as running:
        kill_at("computing 3", running)
    assert sorted(times(data)) == [f"part-{index}.safetensors" for index in range(3)]
    return data


def test_the_next_start_goes_on_from_the_last_shard(killed: Path) -> None:
    before = times(killed)
    assert output(killed) == ["computing 3", "computing 4", "computing 5", f"done {RUN}"]
    after = times(killed)
    assert {name: after[name] for name in before} == before


def test_a_shard_damaged_in_the_meantime_is_computed_again(killed: Path) -> None:
    path = shards(killed) / "part-1.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert output(killed) == ["computing 1", "computing 3", "computing 4", "computing 5", f"done {RUN}"]


def test_a_shard_that_is_not_the_recorded_one_is_computed_again(killed: Path) -> None:
    (shards(killed) / "part-1.safetensors").write_bytes((shards(killed) / "part-0.safetensors").read_bytes())
    assert output(killed)[0] == "computing 1"


def test_a_new_workflow_for_the_same_run_reuses_its_shards(killed: Path) -> None:
    """This is what a resume does, and a start with another version of ExpertScope."""
    (killed / "jobs.db").unlink()
    assert output(killed, RUN) == ["computing 3", "computing 4", "computing 5", f"done {RUN}"]


def test_nothing_is_computed_twice_after_the_end(killed: Path) -> None:
    output(killed)
    assert output(killed) == []


def test_the_job_database_holds_receipts_and_no_pickles(killed: Path) -> None:
    output(killed)
    with sqlite3.connect(killed / "jobs.db") as database:
        (kind,) = database.execute("select distinct serialization from workflow_status").fetchone()
        receipts = [json.loads(row[0]) for row in database.execute("select output from operation_outputs")]
    database.close()
    assert kind == "portable_json"
    assert sorted(receipt["key"] for receipt in receipts) == [f"part-{index}" for index in range(6)]
    assert all(set(receipt) == {"key", "sha256"} for receipt in receipts)


def test_a_workflow_of_another_version_is_left_and_its_run_begun_again_on_its_shards(killed: Path) -> None:
    with sqlite3.connect(killed / "jobs.db") as database:
        database.execute("update workflow_status set application_version = 'expertscope-0.0.0'")
    database.close()
    assert output(killed) == []
    assert output(killed, RUN) == ["computing 3", "computing 4", "computing 5", f"done {RUN}"]
    with sqlite3.connect(killed / "jobs.db") as database:
        states = dict(database.execute("select workflow_uuid, status from workflow_status").fetchall())
    database.close()
    assert states == {f"{RUN}.1": "CANCELLED", f"{RUN}.2": "SUCCESS"}
