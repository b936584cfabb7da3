"""The experts of one report, apart from the rest of it: columns to sort and filter by, and the rows as they were
written.

`Results` reads it and `stored_result` writes it. A model with 94 layers of 512 experts has 48,128 rows of some ninety
numbers; as nested dictionaries they take seconds to unpack and hundreds of megabytes to keep, and a page shows a
hundred of them. No number is here that the rows do not have: the columns are an index into them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from analysis.blob import compress, decompress, pack, unpack
from backend.reports.experts_csv import EVIDENCE

BLOCK = 64
"""Rows that are compressed together."""
_MAX_BLOCK = 1 << 28
_INTEGERS = ("layer", "expert", "rank", "level")
_NUMBERS = {
    "effect": ("effect", "estimate"),
    "effect_low": ("effect", "low"),
    "effect_high": ("effect", "high"),
    "null_mean": ("null", "mean"),
    "null_sd": ("null", "sd"),
    "p_value": ("p_value",),
    "q_value": ("q_value",),
    "selectivity": ("selectivity",),
    "stability": ("stability",),
    "harmful": ("frequency", "harmful"),
    "benign": ("frequency", "benign"),
    "eta_topic": ("details", "eta_topic"),
    "eta_harm": ("details", "eta_harm"),
}
"""Columns of float64, and where in a row their numbers stand; NaN where a row has none."""

Row = dict[str, Any]
Column = npt.NDArray[Any]


@dataclass(frozen=True)
class ExpertTable:
    """`columns` [experts] in the report's order: those of `_INTEGERS` (int32), `flagged` (bool), `rungs` (uint8, one
    bit for each passed rung, the first the lowest), `in_set` (bool), those of `_NUMBERS`, and for each of `criteria`
    its `score_NAME` and `rank_NAME` (int32; 1 for the highest score, 0 without one). `blocks` are the rows themselves.
    """

    columns: Mapping[str, Column]
    criteria: tuple[str, ...]
    blocks: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.columns["rank"])

    def __repr__(self) -> str:
        return f"ExpertTable({len(self):,} experts, criteria {', '.join(self.criteria)})"

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> "ExpertTable":
        """From a report's `experts`. Raises ValueError for a NaN, which is a mistake of the analysis."""
        criteria = tuple(dict.fromkeys(name for row in rows for name in row["scores"]))
        columns: dict[str, Column] = {name: np.array([row[name] for row in rows], dtype=np.int32) for name in _INTEGERS}
        columns["flagged"] = np.array([row["flagged"] for row in rows], dtype=np.bool_)
        columns["in_set"] = np.array([row.get("how") == "in a set" for row in rows], dtype=np.bool_)
        columns["rungs"] = np.array([_mask(row["evidence"]) for row in rows], dtype=np.uint8)
        columns |= {name: _numbers(rows, path) for name, path in _NUMBERS.items()}
        for name in criteria:
            columns[f"score_{name}"] = _numbers(rows, ("scores", name))
            columns[f"rank_{name}"] = ranks(columns[f"score_{name}"])
        blocks = [_compress(rows[start : start + BLOCK]) for start in range(0, len(rows), BLOCK)]
        return cls(columns, criteria, tuple(blocks))

    def rows(self, start: int = 0, end: int | None = None) -> list[Row]:
        """The rows from `start` up to `end`, as they were written."""
        end = len(self) if end is None else min(end, len(self))
        first, last = start // BLOCK, -(-end // BLOCK)
        found = [row for block in self.blocks[first:last] for row in json.loads(b"[" + _text(block) + b"]")]
        return found[start - first * BLOCK : end - first * BLOCK]

    def __iter__(self) -> Iterator[Row]:
        """Every row, unpacked block by block."""
        for start in range(0, len(self), BLOCK):
            yield from self.rows(start, start + BLOCK)

    def row(self, index: int) -> Row:
        return self.rows(index, index + 1)[0]

    def index(self, layer: int, expert: int) -> int | None:
        """Where in the report's order an expert stands; None for one that is not there."""
        found = np.flatnonzero((self.columns["layer"] == layer) & (self.columns["expert"] == expert))
        return int(found[0]) if len(found) else None

    def flagged(self) -> list[Row]:
        """The rows of the flagged experts, best first."""
        return self._flagged

    def json(self) -> Iterator[bytes]:
        """The rows as JSON, block by block, with commas between them and without brackets around them."""
        for number, block in enumerate(self.blocks):
            yield (b"," if number else b"") + _text(block)

    @cached_property
    def _flagged(self) -> list[Row]:
        places = np.flatnonzero(self.columns["flagged"])
        return [row for row in self.rows(0, int(places[-1]) + 1) if row["flagged"]] if len(places) else []

    @cached_property
    def names(self) -> list[str]:
        """ "L2·E5" of each expert."""
        places = zip(self.columns["layer"].tolist(), self.columns["expert"].tolist(), strict=True)
        return [f"L{layer}·E{expert}" for layer, expert in places]

    @cached_property
    def effect_range(self) -> tuple[float, float]:
        """From the least to the greatest of all effects, their intervals, their nulls' mean ± 2 sd, and zero."""
        mean, sd = self.columns["null_mean"], self.columns["null_sd"]
        ends = [self.columns[name] for name in ("effect", "effect_low", "effect_high")]
        # A null without an effect is not drawn, so it does not widen the range either.
        ends += [np.where(np.isnan(ends[0]), np.nan, mean + side * sd) for side in (-2, 2)]
        return _least(ends), -_least([-values for values in ends])

    def to_bytes(self) -> bytes:
        rows = np.frombuffer(b"".join(self.blocks), dtype=np.uint8)
        sizes = np.array([len(block) for block in self.blocks], dtype=np.int64)
        return pack({**self.columns, "__rows__": rows, "__sizes__": sizes}, {"criteria": self.criteria})

    @classmethod
    def from_bytes(cls, blob: bytes) -> "ExpertTable":
        arrays, meta = unpack(blob)
        rows, ends = arrays.pop("__rows__").tobytes(), np.cumsum(arrays.pop("__sizes__")).tolist()
        blocks = [rows[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return cls(arrays, tuple(meta["criteria"]), tuple(blocks))


class ExpertRows(Sequence[Row]):
    """The rows of a table as a report's `experts` for readers that go through them once: nothing stays unpacked."""

    def __init__(self, table: ExpertTable) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._table)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        places = range(len(self))[place]
        if isinstance(places, int):
            return self._table.row(places)
        if places.step == 1:
            return self._table.rows(places.start, max(places.start, places.stop))
        return [self._table.row(index) for index in places]


def ranks(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Place of each score, 1 for the highest; equal ones in the report's order; 0 for NaN."""
    order = np.argsort(-scores, kind="stable")  # NaN last
    places = np.zeros(len(scores), dtype=np.int32)
    places[order] = np.arange(1, len(scores) + 1)
    return np.where(np.isnan(scores), 0, places).astype(np.int32)


def dumps(value: object) -> bytes:
    """Compact JSON, as the API sends it. A NaN raises ValueError."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _compress(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return compress(b",".join(dumps(row) for row in rows))


def _text(block: bytes) -> bytes:
    return decompress(block, _MAX_BLOCK)


def _mask(evidence: Mapping[str, bool]) -> int:
    return sum(1 << place for place, name in enumerate(EVIDENCE) if evidence.get(name))


def _numbers(rows: Sequence[Mapping[str, Any]], path: tuple[str, ...]) -> npt.NDArray[np.float64]:
    return np.array([_find(row, path) for row in rows], dtype=np.float64)  # None becomes NaN


def _find(row: Any, path: tuple[str, ...]) -> float | None:
    for name in path:
        row = (row or {}).get(name)
    return None if row is None else float(row)


def _least(columns: Sequence[npt.NDArray[np.float64]]) -> float:
    return float(min(0.0, *(np.nanmin(values, initial=0.0) for values in columns)))
