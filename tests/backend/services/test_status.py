"""What the installation says of itself: measured, bounded, and without a secret."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from analysis.errors import NotReadyError
from backend.db.tables import WorkerRow
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services
from backend.services import status as status_module
from backend.services.status import settings_in_force
from backend.settings import Settings

SECRET = "sk-do-not-show"


def test_what_is_stored_is_counted(services: Services, done: RunInfo) -> None:
    held = services.status.read().storage
    assert (held.runs, held.prompt_sets, held.prompts, held.models) == (1, 1, 12, 1)
    assert held.free_bytes is not None
    assert held.free_bytes > 0


def test_the_database_has_the_size_of_its_files(services: Services, done: RunInfo) -> None:
    if services.settings.database_url:
        pytest.skip("PostgreSQL says it itself")
    files = services.settings.data_dir.glob("expertscope.db*")
    assert services.status.read().storage.database_bytes == sum(path.stat().st_size for path in files)


def test_the_queue_is_in_the_order_in_which_runs_are_taken_up(
    services: Services, new_run: NewRun, running: RunInfo
) -> None:
    waiting = [services.runs.create(replace(new_run, seed=seed)) for seed in (1, 2)]
    queue = services.status.read().queue
    assert [run.id for run in queue.running] == [running.id]
    assert [run.id for run in queue.waiting] == [run.id for run in waiting]
    assert services.runs.places() == {waiting[0].id: 1, waiting[1].id: 2}
    services.runs.cancel(waiting[0].id)
    assert services.runs.places() == {waiting[1].id: 1}


def test_the_worker_says_what_it_computes_with(services: Services) -> None:
    assert services.status.read().worker is None
    assert "No worker is running" in services.status.read().problems[0]
    gpu = {"name": "A GPU", "memory_bytes": 80}
    services.workers.beat("worker", 7, {"threads": 2, "gpus": [gpu]})
    services.workers.beat("worker", 7)
    worker = services.status.read().worker
    assert worker is not None
    assert (worker.pid, worker.alive, worker.machine) == (7, True, {"threads": 2, "gpus": [gpu]})
    assert services.status.read().problems == []


def test_a_silent_worker_is_a_problem(services: Services) -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=services.settings.worker_stale_seconds + 1)
    with services.database.write() as session:
        session.add(WorkerRow(id="worker", pid=42, started=long_ago, seen=long_ago))
    assert "The worker was last heard at" in services.status.read().problems[0]


def test_little_room_on_the_disk_is_a_problem(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    services.workers.beat("worker", 7)
    monkeypatch.setattr(status_module, "LOW_DISK", 2**62)
    assert "less than 1 GB left" in services.status.read().problems[0]


def test_settings_have_their_values_and_no_secret() -> None:
    endpoint = {"url": "https://judge.example/v1", "model": "m", "key": SECRET}
    settings = Settings(
        judge_endpoints={"far": endpoint},
        judge_hosts=["judge.example"],
        database_url=f"postgresql+psycopg://person:{SECRET}@db.example/x",
        hide_completions=True,
    )
    shown = {one.name: one for one in settings_in_force(settings)}
    assert SECRET not in json.dumps([asdict(one) for one in shown.values()])
    assert shown["EXPERTSCOPE_JUDGE_ENDPOINTS"].value == "far"
    assert shown["EXPERTSCOPE_DATABASE_URL"].value == "postgresql+psycopg://person:***@db.example/x"
    hide = shown["EXPERTSCOPE_HIDE_COMPLETIONS"]
    assert (hide.value, hide.default) == ("true", False)
    assert shown["EXPERTSCOPE_PORT"].default is True
    assert {name.removeprefix("EXPERTSCOPE_").lower() for name in shown} == set(Settings.model_fields)


def test_a_database_that_does_not_answer_is_said(
    services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    if services.settings.database_url:
        pytest.skip("only a file can be taken away")
    services.close()
    for file in services.settings.data_dir.glob("expertscope.db*"):
        file.unlink()
    services.settings.data_dir.rmdir()
    with pytest.raises(NotReadyError, match="database does not answer"):
        services.status.read()
