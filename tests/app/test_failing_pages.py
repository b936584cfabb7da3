"""A page that fails says so in its own place, with what to do; nothing of the server's inside stands there."""

import logging
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from app.router import Page, Router, View, Visit
from backend.services import Services


def failing(error: Exception) -> Router:
    def show(services: Services, visit: Visit) -> View:
        raise error

    return Router([Page("/broken", show)])


def test_what_nobody_foresaw(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        view = failing(RuntimeError("a secret of the inside")).show(services, "/ui/broken", "?a=1")
    text = str(view.body)
    assert "This page could not be made" in text
    assert "href='/ui/broken?a=1'" in text
    assert "secret of the inside" not in text
    assert caplog.records[0].exc_info is not None


def test_a_database_that_is_locked_is_named(services: Services) -> None:
    fault = sqlite3.OperationalError("database is locked")
    fault.sqlite_errorcode = sqlite3.SQLITE_BUSY
    locked = OperationalError("select 1", {}, fault)
    text = str(failing(locked).show(services, "/ui/broken", "").body)
    assert "cannot be made now" in text
    assert "locked by another program" in text
