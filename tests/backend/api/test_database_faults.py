"""A database that is locked, full or away: the request gets a 503 that says so, and the server lives."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from backend.services import NewRun, Services
from backend.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite, whose faults these are."""
    return Settings(data_dir=tmp_path / "data", event_poll_seconds=0.02)


def body(new_run: NewRun) -> dict[str, object]:
    return {"model": new_run.model, "prompt_set_id": new_run.prompt_set_id, "preset": "quick"}


def impatient(services: Services, pragma: str) -> None:
    """Every connection from now on has the pragma."""

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(pragma).close()

    event.listen(services.database.engine, "connect", prepare)
    services.database.engine.dispose()


def test_a_locked_database_is_a_503_and_passes(
    client: TestClient, services: Services, settings: Settings, new_run: NewRun
) -> None:
    impatient(services, "PRAGMA busy_timeout=10")
    with closing(sqlite3.connect(settings.data_dir / "expertscope.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = client.post("/api/v1/runs", json=body(new_run))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")
        assert "locked by another program" in answer.json()["error"]["message"]
        assert answer.headers["Retry-After"] == "10"
        assert client.get("/api/v1/runs").json()["count"] == 0  # readers never wait
    assert client.post("/api/v1/runs", json=body(new_run)).status_code == 202


def test_a_full_disk_is_a_503_and_nothing_half_stored_stays(
    client: TestClient, services: Services, settings: Settings, new_run: NewRun
) -> None:
    with closing(sqlite3.connect(settings.data_dir / "expertscope.db")) as other:
        pages = other.execute("PRAGMA page_count").fetchone()[0]
    impatient(services, f"PRAGMA max_page_count={pages}")
    text = "\n".join(["id,prompt,label", *(f"p{n},{'word ' * 200}{n},benign" for n in range(300))])
    answer = client.post("/api/v1/prompt-sets", files={"file": ("many.csv", text.encode())})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")
    assert "disk of the database is full" in answer.json()["error"]["message"]
    assert client.get("/api/v1/prompt-sets").json()["count"] == 1
    assert client.get("/healthz").status_code == 200
