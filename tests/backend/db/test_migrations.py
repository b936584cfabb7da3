"""The numbered migrations against the tables that the code believes in."""

import json
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from analysis.errors import ConflictError, ExpertScopeError
from analysis.result import AuditResult
from backend.db import Database, migrate
from backend.db.migrate import configuration
from backend.db.tables import Base
from backend.services.expert_table import dumps
from backend.services.results import Results
from backend.services.stored_result import pack_report
from tests.backend.factories import make_result


def open_database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'test.db'}")


def test_an_empty_database_gets_every_table(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    assert set(inspect(database.engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_the_migrations_make_exactly_the_tables_that_the_code_describes(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    with database.write() as session:
        row = "('w', 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
        session.execute(text(f"insert into workers (id, pid, started, seen) values {row}"))
    migrate(database)
    with database.read() as session:
        assert session.scalar(text("select count(*) from workers")) == 1


def test_server_and_worker_may_migrate_at_the_same_time(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            migrate(open_database(tmp_path))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    with database.write() as session:
        session.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(ConflictError, match="9999"):
        migrate(database)
    assert "runs" in inspect(database.engine).get_table_names()


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "test.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ExpertScopeError, match="not a database") as caught:
        migrate(open_database(tmp_path))
    assert "\n" not in caught.value.message


def test_the_first_migration_can_be_taken_back(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    with database.engine.execution_options(expertscope_writes=True).begin() as connection:
        command.downgrade(configuration(connection), "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]


def test_results_from_before_the_experts_stood_apart_are_still_read(tmp_path: Path) -> None:
    """Rows as 0005 had them: the whole report in one blob, the counts and the co-activation of all layers in two."""
    result = make_result()
    database = open_database(tmp_path)
    with database.engine.execution_options(expertscope_writes=True).begin() as connection:
        command.upgrade(configuration(connection), "0005")
        run_id = insert_old_result(connection, result)
    migrate(database)
    results = Results(database)
    assert results.report(run_id) == result.report
    assert b"".join(results.report_json(run_id)) == dumps(result.report)
    assert results.flagged(run_id) == [row for row in result.report["experts"] if row["flagged"]]
    assert [int(i) for i in results.experts_page(run_id, 0, 3).rows] == [0, 1, 2]
    view = results.expert(run_id, 2, 5)
    counted = result.routing.coactivation
    assert counted is not None
    assert view.partners == list(counted.partners((2, 5)))
    assert view.row == result.report["experts"][0]
    pairs = results.coactivation(run_id, 3, "tokens").values
    assert pairs.tolist() == counted.counts(3).tolist()


def insert_old_result(connection: Connection, result: AuditResult) -> str:
    """One finished audit, with only the columns that 0005 knew."""
    now = "2026-01-01 00:00:00"
    connection.execute(
        text("insert into prompt_sets (id, name, sha256, source, prompts, harmful, benign, pairs, topics, created) "
             "values ('set', 'set', 'x', 'upload', 12, 6, 6, 6, '[]', :now)"), {"now": now},
    )  # fmt: skip
    connection.execute(
        text("insert into models (id, ref, revision, name, family, description, created) "
             "values ('model', 'm', '', 'm', 'qwen3_moe', '{}', :now)"), {"now": now},
    )  # fmt: skip
    connection.execute(
        text("insert into runs (id, kind, name, status, model_id, prompt_set_id, preset, seed, judge, device, "
             "request_sha256, created, attempts, cancel_requested, done, total, fraction, fraction_base) values "
             "('run', 'audit', 'run', 'done', 'model', 'set', 'quick', 0, 'rules', 'cpu', 'x', :now, 1, 0, 0, "
             "0, 1, 0)"),
        {"now": now},
    )  # fmt: skip
    blobs = {
        "report": pack_report(result.report),
        "certificate": json.dumps(result.certificate),
        "routing": result.routing.to_bytes(),
        "counts": result.counts.to_bytes(),
        "now": now,
    }
    columns = "(run_id, report, certificate, routing, counts, created)"
    values = "('run', :report, :certificate, :routing, :counts, :now)"
    connection.execute(text(f"insert into run_results {columns} values {values}"), blobs)
    return "run"
