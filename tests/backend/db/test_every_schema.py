"""A database of each schema that there ever was, with rows in every table, brought to the newest one: nothing is lost.

What a row was is read before and after with plain SQL, so that no model of today has a say in it.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from sqlalchemy import JSON, Boolean, Connection, DateTime, Float, Integer, LargeBinary, MetaData, String, Table, select

from backend.db import Database, known_revisions, migrate
from backend.db.migrate import configuration

REVISIONS = list(reversed(known_revisions()))
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC).replace(tzinfo=None)
ROWS = 3
KEYS = {"model_id": "models", "prompt_set_id": "prompt_sets", "run_id": "runs", "human_label_id": "human_labels"}


def tables(connection: Connection) -> list[Table]:
    """Every table as the database itself describes it, those that others refer to first."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def value(table: str, column: Any, number: int) -> Any:
    """Something that fits the column, different in each row."""
    name, kind = column.name, column.type
    if name == "id" and isinstance(kind, String):
        return f"{table[:6]}-{number}"
    if column.foreign_keys:
        parent = next(iter(column.foreign_keys)).column
        return value(parent.table.name, parent, number)
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, JSON) or name in (
        "topics",
        "description",
        "parameters",
        "data",
        "certificate",
        "details",
        "machine",
    ):
        return {"row": number, "text": "ü \"'"} if isinstance(kind, JSON) else json.dumps({"row": number, "text": "ü"})
    if isinstance(kind, DateTime):
        return MOMENT.replace(second=number)
    if isinstance(kind, LargeBinary):
        return bytes([number, 0, 255]) * 1000
    if isinstance(kind, Float):
        return number + 0.125
    if isinstance(kind, Integer):
        return number + 1
    return f"{name[:8]} {number}"


def fill(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Rows in every table, and what they were."""
    written = {}
    for table in tables(connection):
        rows = [{column.name: value(table.name, column, number) for column in table.columns} for number in range(ROWS)]
        connection.execute(table.insert(), rows)
        written[table.name] = read(connection, table)
        assert len(written[table.name]) == ROWS
    return written


def read(connection: Connection, table: Table) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()]


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_every_schema_comes_to_the_newest_one_with_all_its_rows(either_url: str, revision: str) -> None:
    database = Database(either_url)
    writer = database.engine.execution_options(expertscope_writes=True)
    with writer.begin() as connection:
        command.upgrade(configuration(connection), revision)
    with writer.begin() as connection:
        written = fill(connection)
    migrate(database)
    with database.engine.connect() as connection:
        now = {table.name: table for table in tables(connection)}
        for name, rows in written.items():
            found = read(connection, now[name])
            assert [{key: row[key] for key in before} for before, row in zip(rows, found, strict=True)] == rows
    database.close()


def test_the_newest_schema_is_the_last_of_one_chain() -> None:
    assert len(set(REVISIONS)) == len(REVISIONS)
    assert REVISIONS[0] == "0001"


def test_each_migration_can_be_taken_back_and_applied_again(either_url: str) -> None:
    database = Database(either_url)
    writer = database.engine.execution_options(expertscope_writes=True)
    migrate(database)
    with writer.begin() as connection:
        before = {table.name: sorted(table.columns.keys()) for table in tables(connection)}
        command.downgrade(configuration(connection), "base")
    with database.engine.connect() as connection:
        assert tables(connection) == []
    migrate(database)
    with database.engine.connect() as connection:
        assert {table.name: sorted(table.columns.keys()) for table in tables(connection)} == before
    database.close()
