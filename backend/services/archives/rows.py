"""Rows of the database as JSON, and JSON from somewhere else as values that a row can hold."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from sqlalchemy import JSON, String, inspect
from sqlalchemy.orm import Mapper

from analysis.errors import InputError
from backend.db.tables import Base, UtcDateTime

_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def values_of(row: Base, without: Collection[str] = ()) -> dict[str, Any]:
    """The columns of a row by their names in the code."""
    return {name: getattr(row, name) for name in _columns(type(row)) if name not in without}


def to_json(value: object) -> bytes:
    """Times in ISO 8601. A NaN raises ValueError."""
    return TypeAdapter(Any).dump_json(value, indent=1)


def one_from_json(table: type[Base], data: bytes, place: str, without: Collection[str] = ()) -> dict[str, Any]:
    """The values of one row. Raises InputError, which names `place` and field, for any that the table cannot hold."""
    values: dict[str, Any] = _validated(_reader(table, frozenset(without)), data, place)
    return values


def many_from_json(table: type[Base], data: bytes, place: str, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """The values of many rows. Raises as `one_from_json`."""
    rows: list[dict[str, Any]] = _validated(list[_reader(table, frozenset(without))], data, place)  # type: ignore[misc]
    return rows


def _validated(kind: Any, data: bytes, place: str) -> Any:
    adapter = TypeAdapter(kind)
    try:
        found = adapter.validate_json(data)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"'{place}' in the archive cannot be used: {where} {first['msg']}".strip()) from None
    return adapter.dump_python(found, exclude_unset=True)


@cache
def _reader(table: type[Base], without: frozenset[str]) -> type[BaseModel]:
    """A model with a field for each column. One that has a default may be missing: an older version did not have it."""
    fields: dict[str, Any] = {}
    for name, column in _columns(table).items():
        if name in without:
            continue
        optional = column.nullable or column.default is not None
        fields[name] = (_type(column) | None if column.nullable else _type(column), None if optional else ...)
    return create_model(table.__name__, __config__=_CONFIG, **fields)


def _type(column: Any) -> Any:
    if isinstance(column.type, JSON):
        return dict[str, Any] | list[Any]
    if isinstance(column.type, UtcDateTime):
        return AwareDatetime
    if isinstance(column.type, String) and column.type.length:
        return Annotated[str, Field(max_length=column.type.length)]
    return column.type.python_type


def _columns(table: type[Base]) -> Mapping[str, Any]:
    mapper: Mapper[Any] = inspect(table)
    return {attribute.key: attribute.columns[0] for attribute in mapper.column_attrs}
