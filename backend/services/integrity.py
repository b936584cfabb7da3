"""Holds everything that is stored against what it has to be, and clears away what belongs to nothing.

`expertscope check` calls `faults` and `repair`; the worker calls `sweep`, which only ever takes what lies unused for
more than an hour and belongs to no run that goes on.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from analysis.errors import ExpertScopeError
from analysis.result import PromptCounts
from analysis.routing.table import RoutingTable
from analysis.routing.token_trace import TokenTrace
from analysis.shards import FolderShards
from backend.db import Database, faults_of
from backend.db.tables import (
    AuditLogRow,
    PlaygroundQuestionRow,
    RunDocumentRow,
    RunFileRow,
    RunLayerRow,
    RunResultRow,
    RunRow,
    TokenTraceRow,
)
from backend.services.expert_table import ExpertTable
from backend.services.layer_counts import LayerCounts
from backend.services.run_files import files_folder, verify_file
from backend.services.stored_result import unpack_report
from backend.settings import Settings

HOUR = 3_600.0
DELETED = "runs.deleted"
"""The audit log's word for a run that somebody deleted."""
_GOING = ("queued", "running")
FaultKind = Literal["database", "result", "file", "shard", "orphan", "leftover", "missing"]


@dataclass(frozen=True)
class StoredFault:
    """One thing that is not as it has to be. `place` is a path below the data folder or a row; `repairable` says that
    nothing is lost by deleting it: a shard is computed again, and an orphan belongs to nothing."""

    kind: FaultKind
    place: str
    message: str
    repairable: bool = False


class Integrity:
    """Checks one data folder and its database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._runs = settings.data_dir.absolute() / "runs"

    def faults(self) -> Iterator[StoredFault]:
        """Everything that is wrong, one after the other: the database, each run's result, files and shards, what is
        missing, and what belongs to nothing. Reads all that is stored once."""
        damaged = faults_of(self._settings.database)
        yield from (StoredFault("database", "database", fault) for fault in damaged)
        if damaged:  # what follows reads through it
            return
        known = self._known()
        for run_id, (kind, status) in sorted(known.items()):
            if status == "done":
                yield from self._result_faults(run_id, kind)
            yield from self._file_faults(run_id)
            yield from self._shard_faults(run_id)
        yield from self._question_faults()
        yield from self._orphans(known, 0.0)

    def repair(self) -> list[StoredFault]:
        """Delete what is repairable and was left alone for an hour; what was deleted. A damaged result stays: only a
        backup has it."""
        return [fault for fault in self.faults() if fault.repairable and self._delete(fault)]

    def sweep(self) -> list[StoredFault]:
        """Delete what a deletion that was cut off has left, and what killed processes left half written. Quick: it
        looks at names and times only.

        A folder whose run nobody has deleted stays, even where the database does not know it: it may be the wrong
        database. `repair`, which a person asks for, takes that too.
        """
        with self._database.read() as session:
            gone = set(session.scalars(select(AuditLogRow.subject).where(AuditLogRow.action == DELETED)))
        found = self._orphans(self._known(), HOUR)
        return [one for one in found if (one.kind == "leftover" or Path(one.place).name in gone) and self._delete(one)]

    def _known(self) -> dict[str, tuple[str, str]]:
        """Kind and status of every run."""
        with self._database.read() as session:
            rows = session.execute(select(RunRow.id, RunRow.kind, RunRow.status))
            return {row[0]: (row[1], row[2]) for row in rows}

    def _result_faults(self, run_id: str, kind: str) -> Iterator[StoredFault]:
        with self._database.read() as session:
            if kind != "audit":
                document = session.get(RunDocumentRow, run_id)
                parts = {"document": None if document is None else (unpack_report, document.document)}
                yield from _unreadable(run_id, parts)
                return
            row = session.get(RunResultRow, run_id)
            yield from _unreadable(run_id, _parts_of(row))
            layers = session.scalars(select(RunLayerRow).where(RunLayerRow.run_id == run_id))
            for one in layers.yield_per(4):
                place = {f"layer {one.layer}": (_layer_reader(one.layer), one.cells)}
                yield from _unreadable(run_id, place)
            traces = session.scalars(select(TokenTraceRow).where(TokenTraceRow.run_id == run_id))
            for trace in traces.yield_per(50):
                yield from _unreadable(run_id, {f"tokens of '{trace.prompt_id}'": (TokenTrace.from_bytes, trace.trace)})

    def _file_faults(self, run_id: str) -> Iterator[StoredFault]:
        folder = files_folder(self._settings, run_id)
        with self._database.read() as session:
            rows = {row.name: row for row in session.scalars(select(RunFileRow).where(RunFileRow.run_id == run_id))}
        for name, row in sorted(rows.items()):
            path = folder / name
            try:
                verify_file(row, path)
            except FileNotFoundError:
                yield StoredFault("missing", self._place(path), "the run left this file, and it is gone")
            except ExpertScopeError as fault:
                yield StoredFault("file", self._place(path), fault.message)
        for path in sorted(folder.iterdir()) if folder.is_dir() and rows else ():
            if path.name not in rows:
                yield StoredFault("orphan", self._place(path), "the run did not leave this file", True)

    def _shard_faults(self, run_id: str) -> Iterator[StoredFault]:
        found: list[StoredFault] = []
        folder = self._runs / run_id / "shards"
        for path in sorted(folder.glob("[!.]*.safetensors")):

            def note(_key: str, reason: str, path: Path = path) -> None:
                found.append(StoredFault("shard", self._place(path), f"damaged: {reason}", True))

            FolderShards(folder, damaged=note).read(path.stem)
            yield from found
            found.clear()

    def _question_faults(self) -> Iterator[StoredFault]:
        from analysis.playground.answer import PlaygroundAnswer

        query = select(PlaygroundQuestionRow.id, PlaygroundQuestionRow.result)
        with self._database.read() as session:
            for question_id, blob in session.execute(query.where(PlaygroundQuestionRow.result.is_not(None))):
                found = _fault_of(PlaygroundAnswer.from_bytes, blob or b"")
                if found:
                    yield StoredFault("result", f"question {question_id}", found)

    def _orphans(self, known: dict[str, tuple[str, str]], age: float) -> Iterator[StoredFault]:
        """Folders of runs that there are not, and what killed processes left half written."""
        if not self._runs.is_dir():
            return
        for folder in sorted(self._runs.iterdir()):
            if folder.name not in known:
                if _untouched(folder, age):
                    yield StoredFault("orphan", self._place(folder), "no run of this id is in the database", True)
                continue
            if known[folder.name][1] in _GOING:  # its drafts may be those of the attempt that writes now
                continue
            for left in sorted((*folder.glob(".*"), *folder.glob("shards/.*"))):
                if _untouched(left, age):
                    yield StoredFault("leftover", self._place(left), "left half written by a killed process", True)

    def _delete(self, fault: StoredFault) -> bool:
        path = self._settings.data_dir.absolute() / fault.place
        if not _untouched(path, HOUR) and fault.kind != "shard":
            return False
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        return not path.exists()

    def _place(self, path: Path) -> str:
        return str(path.relative_to(self._settings.data_dir.absolute()))


Reader = Callable[[bytes], Any]


def _parts_of(row: RunResultRow | None) -> dict[str, tuple[Reader, bytes] | None]:
    if row is None:
        return {"report": None}
    parts: dict[str, tuple[Reader, bytes] | None] = {
        "report": (unpack_report, row.report),
        "routing table": (RoutingTable.from_bytes, row.routing),
    }
    if row.experts is not None:
        parts["experts"] = (_all_experts, row.experts)
    if row.counts:
        parts["counts"] = (PromptCounts.from_bytes, row.counts)
    return parts


def _all_experts(blob: bytes) -> None:
    """Every block of them, which only readers of all experts unpack."""
    for _ in ExpertTable.from_bytes(blob):
        pass


def _layer_reader(layer: int) -> Reader:
    return lambda blob: LayerCounts.from_bytes(blob, layer)


def _unreadable(run_id: str, parts: Mapping[str, tuple[Reader, bytes] | None]) -> Iterator[StoredFault]:
    for name, part in parts.items():
        place = f"run {run_id}, {name}"
        if part is None:
            yield StoredFault("missing", place, "the run is done and has no result")
            continue
        found = _fault_of(*part)
        if found:
            yield StoredFault("result", place, found)


def _fault_of(read: Reader, blob: bytes) -> str | None:
    try:
        read(blob)
    except SQLAlchemyError:
        raise
    except ExpertScopeError as fault:
        return fault.message
    except Exception as fault:  # whatever a reader stumbles over in a blob that is not what was written
        return f"damaged: {type(fault).__name__} while reading it"
    return None


def _untouched(path: Path, age: float) -> bool:
    """Whether nothing in `path` was changed for `age` seconds. What vanishes meanwhile counts as touched."""
    try:
        newest = max(one.lstat().st_mtime for one in (path, *(path.rglob("*") if path.is_dir() else ())))
    except OSError:
        return False
    return bool(time.time() - newest >= age)
