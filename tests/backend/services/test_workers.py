"""Heartbeats: whether anybody is there to do the work."""

from datetime import UTC, datetime, timedelta

from backend.db.tables import WorkerRow
from backend.services import Services


def test_nobody_was_heard_in_an_empty_database(services: Services) -> None:
    assert services.workers.last_seen() is None
    assert services.workers.alive() is False


def test_a_worker_that_beats_is_alive(services: Services) -> None:
    services.workers.beat("worker", pid=42)
    services.workers.beat("worker", pid=42)
    assert services.workers.alive() is True


def test_a_worker_that_has_been_silent_is_not(services: Services) -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=services.settings.worker_stale_seconds + 1)
    with services.database.write() as session:
        session.add(WorkerRow(id="worker", pid=42, started=long_ago, seen=long_ago))
    assert services.workers.alive() is False
    services.workers.beat("worker", pid=43)
    assert services.workers.alive() is True
