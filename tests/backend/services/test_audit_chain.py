"""The chain of the audit log: whoever reaches past the application into the database leaves a broken link."""

import hashlib
import json
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from analysis.errors import InputError
from backend.access import Principal, Role, acting_as
from backend.db import Database
from backend.db.migrate import configuration
from backend.services import Services, open_services
from backend.settings import Settings


def fill(services: Services, count: int = 5) -> None:
    with acting_as(Principal("ada", Role.ADMIN, "session", "10.0.0.1")):
        for number in range(count):
            services.audit_log.append("runs.created", f"run {number}", {"n": number, "ä": [1.5, None, "é\u2028"]})


def tamper(services: Services, *statements: str) -> None:
    """As somebody with the database in hand: the triggers that refuse changes go first."""
    with services.database.write() as session:
        for change in ("update", "delete"):
            session.execute(text(f"DROP TRIGGER audit_log_no_{change}"))
        for statement in statements:
            session.execute(text(statement))


@pytest.fixture(autouse=True)
def on_sqlite(services: Services) -> None:
    if services.database.engine.dialect.name != "sqlite":
        pytest.skip("the tampering is written in SQLite's words")


def test_an_untouched_log_is_whole_and_its_head_is_found_again(services: Services) -> None:
    fill(services)
    found = services.audit_log.verify()
    assert (found.intact, found.entries) == (True, 5)
    head = found.head
    fill(services, 2)
    assert services.audit_log.verify(head).intact
    assert services.audit_log.verify().head != head


def test_the_hash_is_of_the_entry_and_the_one_before(services: Services) -> None:
    """Worked out again from the database's own columns."""
    fill(services)
    with services.database.read() as session:
        rows = session.execute(text("select * from audit_log order by id")).mappings().all()
    previous = ""
    for row in rows:
        time = row["time"].replace(" ", "T") + "+00:00"
        parts = [previous, row["id"], time, *(row[name] for name in ("actor", "role", "address", "action", "subject"))]
        line = json.dumps([*parts, json.loads(row["details"])], sort_keys=True, separators=(",", ":"))
        assert row["previous"] == previous
        assert row["hash"] == hashlib.sha256(line.encode()).hexdigest()
        previous = row["hash"]


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("update audit_log set actor = 'eve' where id = 3", "entry 3 is not what was written"),
        ("update audit_log set address = '' where id = 3", "entry 3 is not what was written"),
        ("update audit_log set details = '{}' where id = 3", "entry 3 is not what was written"),
        ("update audit_log set time = '2020-01-01 00:00:00.000000' where id = 3", "entry 3 is not what was written"),
        ("delete from audit_log where id = 3", "entry 2 is followed by entry 4: what was between is missing"),
        ("delete from audit_log where id = 1", "entry 0 is followed by entry 2: what was between is missing"),
        ("update audit_log set previous = hash where id = 3", "entry 3 does not follow the one before it"),
    ],
)
def test_what_was_changed_is_named(services: Services, statement: str, fault: str) -> None:
    fill(services)
    tamper(services, statement)
    found = services.audit_log.verify()
    assert not found.intact
    assert any(fault in one for one in found.faults), found.faults


def test_a_changed_entry_with_a_new_hash_breaks_the_link_behind_it(services: Services) -> None:
    fill(services)
    entry = services.audit_log.entries(limit=5).items[2]
    forged = entry.__class__(**{**vars(entry), "actor": "eve"}).expected_hash()
    tamper(services, f"update audit_log set actor = 'eve', hash = '{forged}' where id = {entry.id}")
    assert [one for one in services.audit_log.verify().faults if f"entry {entry.id + 1} does not follow" in one]


def test_an_end_that_was_cut_off_is_seen_with_the_head_that_was_kept(services: Services) -> None:
    fill(services)
    head = services.audit_log.verify().head
    tamper(services, "delete from audit_log where id = 5")
    assert services.audit_log.verify().intact, "a chain alone does not show it"
    assert "entry 5 with the hash that was written down is gone" in services.audit_log.verify(head).faults[0]


@pytest.mark.parametrize("head", ["", "5", "x:" + "0" * 64, "5:" + "0" * 63])
def test_a_head_of_another_form_is_refused(services: Services, head: str) -> None:
    if head:
        with pytest.raises(InputError, match="expected ID:HASH"):
            services.audit_log.verify(head)
    else:
        assert services.audit_log.verify(head).intact


def test_two_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    import threading

    one, other = (open_services(Settings(data_dir=tmp_path)) for _ in range(2))
    threads = [threading.Thread(target=fill, args=(which, 20)) for which in (one, other, one)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = one.audit_log.verify()
    assert (found.intact, found.entries) == (True, 60)
    one.close()
    other.close()


def test_entries_from_before_the_chain_are_chained_when_the_database_is_brought_up(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'expertscope.db'}")
    writer = database.engine.execution_options(expertscope_writes=True)
    with writer.begin() as connection:
        command.upgrade(configuration(connection), "0010")
        for number in range(3):
            connection.execute(
                text(
                    "insert into audit_log (time, actor, role, action, subject, details) values "
                    "('2026-01-02 03:04:05.678901', 'ada', 'admin', 'tuning.stress.started', :subject, "
                    "'{\"steps\": 2}')"
                ),
                {"subject": f"run {number}"},
            )
    database.close()
    services = open_services(Settings(data_dir=tmp_path))
    assert services.audit_log.verify().intact
    fill(services, 1)
    found = services.audit_log.verify()
    assert (found.intact, found.entries) == (True, 4)
    with pytest.raises(Exception, match="append-only"), services.database.write() as session:
        session.execute(text("update audit_log set actor = 'eve'"))
    services.close()
