"""Cursor pagination, newest first: a page stays right while new rows arrive in front of it."""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from analysis.errors import InputError
from backend.services.records import Page

MAX_LIMIT = 500
Row = TypeVar("Row", bound=Any)
Record = TypeVar("Record")


def page_of(
    session: Session,
    query: Select[tuple[Row]],
    table: Any,
    limit: int,
    cursor: str | None,
    show: Callable[[Row], Record],
) -> Page[Record]:
    """At most `limit` rows of `query` after `cursor`; `table` has columns `created` and `id`, which give the order.

    Raises InputError for a limit outside 1..500 or a cursor that this function did not make.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InputError(f"limit is {limit}: expected 1 to {MAX_LIMIT}", field="limit")
    count = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    if cursor is not None:
        created, row_id = _decode(cursor)
        query = query.where(tuple_(table.created, table.id) < tuple_(created, row_id))
    rows = session.scalars(query.order_by(table.created.desc(), table.id.desc()).limit(limit + 1)).all()
    more = len(rows) > limit
    return Page([show(row) for row in rows[:limit]], count, _encode(rows[limit - 1]) if more else None)


def _encode(row: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.created.isoformat(), row.id]).encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        created, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is None or not isinstance(row_id, str):
            raise ValueError(cursor)
    except (binascii.Error, ValueError, TypeError) as fault:
        raise InputError("cursor is not one that a list gave out: take it from 'next'", field="cursor") from fault
    return moment, row_id


def offset_cursor(offset: int) -> str:
    """The cursor of a list that never changes, which a place in it is enough for."""
    return f"o{offset}"


def offset_of(cursor: str | None) -> int:
    """The inverse of `offset_cursor`; 0 for none. Raises InputError for a cursor that it did not make."""
    if cursor is None:
        return 0
    if not (cursor[:1] == "o" and cursor[1:].isdecimal() and cursor.isascii()):
        raise InputError("cursor is not one that a list gave out: take it from 'next'", field="cursor")
    return int(cursor[1:])
