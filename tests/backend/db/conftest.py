"""The databases that a test may run on. What both have to do alike is tried on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.db import Database, migrate
from tests.postgres import NO_POSTGRES, Server, programs


@pytest.fixture(params=["sqlite", "postgresql"])
def either_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind; PostgreSQL's is skipped where it is not installed."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'either.db'}"
        return
    if programs() is None:
        pytest.skip(NO_POSTGRES)
    server: Server = request.getfixturevalue("postgres")
    with server.fresh(migrated=False) as url:
        yield url


@pytest.fixture
def either(either_url: str) -> Iterator[Database]:
    """A database of each kind with the newest schema."""
    opened = Database(either_url)
    migrate(opened)
    yield opened
    opened.close()
