"""Whether the server lives, is ready, and tells Prometheus."""

import re

import pytest
from starlette.testclient import TestClient

from backend.services import RunInfo, Services


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
