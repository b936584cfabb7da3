"""Sorts and filters the experts of one run, and cuts out the few rows that a table shows. Pure functions over the
columns of `ExpertTable`; `Results.experts_page` calls them.

The order and the filter are spelt as the grid spells them, since they come from it and from the address; what is not
understood is refused by name. An expert without a value stands last whatever the direction, and passes no filter but
"blank".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from analysis.errors import InputError

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]
Filters = Mapping[str, Mapping[str, Any]]
NAME = "name"

_COMPARE: dict[str, Callable[[Values, float], Mask]] = {
    "equals": lambda values, bound: values == bound,
    "notEqual": lambda values, bound: values != bound,
    "greaterThan": lambda values, bound: values > bound,
    "greaterThanOrEqual": lambda values, bound: values >= bound,
    "lessThan": lambda values, bound: values < bound,
    "lessThanOrEqual": lambda values, bound: values <= bound,
}
_MATCH: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda name, part: part in name,
    "notContains": lambda name, part: part not in name,
    "equals": lambda name, part: name == part,
    "notEqual": lambda name, part: name != part,
    "startsWith": lambda name, part: name.startswith(part),
    "endsWith": lambda name, part: name.endswith(part),
}


class Sortable(Protocol):
    """Experts as `columns` [experts] of numbers or truths, with the name of each, "L2·E5"."""

    @property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]: ...

    @property
    def names(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Order:
    """A column, and whether its greatest values come first."""

    column: str = "rank"
    descending: bool = False


@dataclass(frozen=True)
class ExpertsPage:
    """Experts `rows` [shown], by their place in the report's order, and the `count` of all that pass the filter."""

    rows: npt.NDArray[np.intp]
    count: int


def select_rows(
    table: Sortable, start: int, end: int, order: Sequence[Order], filters: Filters, extra: Mapping[str, Values]
) -> ExpertsPage:
    """Rows `start` up to `end` of those that pass all of `filters`, in `order`; the report's order decides between
    equal ones. `extra` are columns [experts] beside the table's own. Raises InputError for a column, a filter or a
    bound that does not exist.
    """
    passing = np.ones(len(table), dtype=np.bool_)
    for column, model in filters.items():
        passing &= _filter(table, column, model, extra)
    found = np.flatnonzero(passing)
    for one in reversed(order):  # each sort is stable, so the first of several is done last
        found = found[_argsort(_values(table, one.column, extra)[found], one.descending)]
    return ExpertsPage(found[max(0, start) : max(0, end)], len(found))


def _argsort(values: Values, descending: bool) -> npt.NDArray[np.intp]:
    return np.argsort(-values if descending else values, kind="stable")  # NaN stands last both ways


def _values(table: Sortable, column: str, extra: Mapping[str, Values]) -> Values:
    if column == NAME:  # experts in the model's order: L2·E10 stands behind L2·E9
        places: Values = table.columns["layer"].astype(np.float64) * 2**20 + table.columns["expert"]
        return places
    found = extra.get(column, table.columns.get(column))
    if found is None:
        known = ", ".join(sorted({NAME, *table.columns, *extra}))
        raise InputError(f"experts have no column '{column}': expected one of {known}", field=column)
    values: Values = found.astype(np.float64)
    if column.startswith("rank_"):
        values[values == 0] = np.nan
    return values


def _filter(table: Sortable, column: str, model: object, extra: Mapping[str, Values]) -> Mask:
    if not isinstance(model, Mapping) or model.get("conditions") is None:
        return _condition(table, column, model, extra)
    conditions = model["conditions"]
    if not isinstance(conditions, list) or not conditions:
        raise InputError(f"the filter of '{column}' has conditions {conditions!r}: expected a list", field=column)
    parts = [_condition(table, column, one, extra) for one in conditions]
    either = str(model.get("operator", "AND")).upper() == "OR"
    joined: Mask = np.logical_or.reduce(parts) if either else np.logical_and.reduce(parts)
    return joined


def _condition(table: Sortable, column: str, model: object, extra: Mapping[str, Values]) -> Mask:
    if not isinstance(model, Mapping):
        raise InputError(f"the filter of '{column}' is {model!r}: expected an object", field=column)
    kind = str(model.get("type"))
    if column == NAME:
        return _matches(table.names, kind, str(model.get("filter", "")))
    values = _values(table, column, extra)
    if kind in ("blank", "notBlank"):
        return np.isnan(values) if kind == "blank" else ~np.isnan(values)
    low = _bound(column, model.get("filter"))
    if kind == "inRange":
        return (values >= low) & (values <= _bound(column, model.get("filterTo")))
    if kind not in _COMPARE:
        expected = ", ".join([*_COMPARE, "inRange", "blank", "notBlank"])
        raise InputError(f"the filter of '{column}' is of type '{kind}': expected one of {expected}", field=column)
    return _COMPARE[kind](values, low) & ~np.isnan(values)


def _matches(names: Sequence[str], kind: str, part: str) -> Mask:
    """Upper and lower case alike, and a plain dot for the raised one, which few keyboards have."""
    if kind in ("blank", "notBlank"):
        return np.full(len(names), kind == "notBlank")
    if kind not in _MATCH:
        expected = ", ".join([*_MATCH, "blank", "notBlank"])
        raise InputError(f"the filter of '{NAME}' is of type '{kind}': expected one of {expected}", field=NAME)
    wanted, match = part.strip().upper().replace(".", "·"), _MATCH[kind]
    return np.fromiter((match(name, wanted) for name in names), dtype=np.bool_, count=len(names))


def _bound(column: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"the filter of '{column}' compares with {value!r}: expected a number", field=column)
    return float(value)
