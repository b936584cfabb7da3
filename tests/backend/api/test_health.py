"""Whether the server lives, is ready, and tells Prometheus."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from backend.db.tables import RunEventRow, RunRow
from backend.main import create_app
from backend.services import NewRun, RunInfo, Services, Settings, open_services
from tests.backend.accounts import make_people


def test_the_server_lives_without_a_worker(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_the_server_is_ready_once_a_worker_was_heard(client: TestClient, services: Services) -> None:
    missing = client.get("/readyz")
    assert missing.status_code == 503
    assert missing.json()["error"]["details"][0]["field"] == "worker"
    services.workers.beat("worker", pid=1)
    assert client.get("/readyz").json() == {"status": "ok"}


def test_a_database_that_is_gone_is_named(client: TestClient, services: Services) -> None:
    if services.settings.database_url:
        pytest.skip("only a file can be taken away")
    services.close()
    for file in services.settings.data_dir.glob("expertscope.db*"):
        file.unlink()
    services.settings.data_dir.rmdir()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["error"]["details"][0]["field"] == "database"


def samples(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*?\})?) (\S+)$", text, re.MULTILINE)}


def test_metrics_count_runs_and_requests_by_route(client: TestClient, services: Services, queued: RunInfo) -> None:
    services.workers.beat("worker", pid=1)
    for _ in range(2):
        client.get(f"/api/v1/runs/{queued.id}")
    client.get("/api/v1/some/made/up/address")
    found = samples(client.get("/metrics").text)
    assert found['expertscope_runs{status="queued"}'] == 1
    assert found['expertscope_runs{status="done"}'] == 0
    assert found["expertscope_worker_up"] == 1
    route = 'method="GET",route="/api/v1/runs/{run_id}"'
    assert found[f'expertscope_http_requests_total{{{route},status="200"}}'] == 2
    assert found[f"expertscope_http_request_seconds_count{{{route}}}"] == 2
    assert "made/up" not in "".join(found)


def test_metrics_tell_of_the_queue_and_of_how_long_runs_took(
    client: TestClient, services: Services, done: RunInfo, new_run: NewRun
) -> None:
    waiting = services.runs.create(replace(new_run, seed=1))
    with services.database.write() as session:
        hour = datetime.now(UTC) - timedelta(hours=1)
        session.execute(update(RunEventRow).where(RunEventRow.run_id == waiting.id).values(time=hour))
        finished = session.get_one(RunRow, done.id)
        finished.started, finished.finished = hour, hour + timedelta(seconds=45)
    found = samples(client.get("/metrics").text)
    assert 3600 <= found["expertscope_queue_age_seconds"] < 3700
    labels = 'kind="audit",status="done"'
    buckets = {
        limit: found[f'expertscope_run_seconds_bucket{{kind="audit",le="{limit}",status="done"}}']
        for limit in ("30.0", "60.0", "+Inf")
    }
    assert buckets == {"30.0": 0, "60.0": 1, "+Inf": 1}
    assert found[f"expertscope_run_seconds_sum{{{labels}}}"] == 45
    assert found[f"expertscope_run_seconds_count{{{labels}}}"] == 1


def test_a_run_that_was_put_back_has_not_waited_before_its_pause_is_over(
    client: TestClient, services: Services, queued: RunInfo
) -> None:
    with services.database.write() as session:
        session.execute(update(RunEventRow).values(time=datetime.now(UTC) - timedelta(hours=1)))
        session.get_one(RunRow, queued.id).retry_at = datetime.now(UTC) + timedelta(minutes=5)
    assert samples(client.get("/metrics").text)["expertscope_queue_age_seconds"] == 0


def test_metrics_tell_of_workers_sizes_and_what_was_audited(
    client: TestClient, services: Services, queued: RunInfo
) -> None:
    found = samples(client.get("/metrics").text)
    assert (found["expertscope_workers"], found["expertscope_worker_up"]) == (0, 0)
    assert found["expertscope_database_bytes"] > 0
    assert found["expertscope_disk_free_bytes"] > 0
    assert any(name.startswith('expertscope_build_info{version="') for name in found)
    created = 'expertscope_audit_log_entries_total{action="runs.created"}'
    assert found[created] == 1
    for number in range(2):
        services.workers.beat(f"worker {number}", pid=number + 1)
    services.runs.cancel(queued.id)
    later = samples(client.get("/metrics").text)
    assert (later["expertscope_workers"], later["expertscope_worker_up"]) == (2, 1)
    assert later[created] == 1
    assert later['expertscope_audit_log_entries_total{action="runs.cancelled"}'] == 1


def test_a_refused_sign_in_is_counted(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "people", accounts=True)
    services = open_services(settings)
    people = make_people(create_app(settings, services), services)
    people.client().post("/sign-in", data={"name": "viewer", "password": "wrong horse battery"})
    found = samples(people.client("admin").get("/metrics").text)
    assert found['expertscope_audit_log_entries_total{action="sign_in.refused"}'] == 1
    services.close()
