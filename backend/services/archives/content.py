"""What an archive of a run holds, and the rows that it becomes.

A blob is taken over byte for byte, once it could be read: what comes back shows the same pages and gives the same
report, to the byte.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session

from analysis.errors import ExpertScopeError, InputError
from analysis.prompts import PromptSet
from analysis.result import PromptCounts
from analysis.routing.table import RoutingTable
from analysis.routing.token_trace import TokenTrace
from backend.db.tables import (
    Base,
    ExpertScoreRow,
    ModelRow,
    OutcomeRow,
    PromptRow,
    PromptSetRow,
    RunDocumentRow,
    RunEventRow,
    RunLayerRow,
    RunResultRow,
    RunRow,
    TokenTraceRow,
)
from backend.reports.schema import validate_report
from backend.services.archives.packing import Packer, Unpacker
from backend.services.archives.rows import many_from_json, one_from_json, to_json, values_of
from backend.services.documents import NAMES
from backend.services.expert_table import ExpertTable, dumps
from backend.services.layer_counts import LayerCounts
from backend.services.prompt_sets import prompt_of
from backend.services.stored_result import EXPERTS, report_json, unpack_report

RUN, MODEL, SET, PROMPTS, EVENTS = "run.json", "model.json", "set.json", "prompts.json", "events.json"
CERTIFICATE, SCORES, OUTCOMES, TRACED = "certificate.json", "scores.json", "outcomes.json", "tokens.json"
REPORT, EXPERT_ROWS = "result/report.zst", "result/experts.zst"
ROUTING, COUNTS = "result/routing.zst", "result/counts.zst"
DOCUMENT = "result/document.zst"
LAYERS, TOKENS, FILES = "layers", "tokens", "files"
OF_HERE = ("idempotency_key", "worker")
"""Columns of a run that mean something only where it was made."""
_OF_RUN = ("run_id",)
_EXPERTS_CHECKED = 200
Values = dict[str, Any]


def document_name(kind: str) -> str:
    """What the run's report or document is called in the archive, as over the API."""
    return NAMES.get(kind, "report.json")


def pack_run(session: Session, run: RunRow, packer: Packer) -> None:
    """Add everything of a finished run but its files."""
    packer.add(RUN, [to_json(values_of(run, OF_HERE))])
    packer.add(MODEL, [to_json(values_of(run.model))])
    packer.add(SET, [to_json(values_of(run.prompt_set))])
    packer.add(PROMPTS, [_many(session, PromptRow, PromptRow.prompt_set_id == run.prompt_set_id, "prompt_set_id")])
    packer.add(EVENTS, [_many(session, RunEventRow, RunEventRow.run_id == run.id, *_OF_RUN)])
    if run.kind == "audit":
        _pack_audit(session, run, packer)
        return
    document = session.get_one(RunDocumentRow, run.id)
    packer.add(document_name(run.kind), [dumps(unpack_report(document.document))])
    packer.add(DOCUMENT, [document.document])


def _pack_audit(session: Session, run: RunRow, packer: Packer) -> None:
    result = session.get_one(RunResultRow, run.id)
    packer.add(document_name(run.kind), _report_text(result.report, result.experts))
    packer.add(CERTIFICATE, [to_json(result.certificate)])
    blobs = {REPORT: result.report, EXPERT_ROWS: result.experts, ROUTING: result.routing, COUNTS: result.counts}
    for name, blob in blobs.items():
        if blob is not None:
            packer.add(name, [blob])
    packer.add(SCORES, [_many(session, ExpertScoreRow, ExpertScoreRow.run_id == run.id, *_OF_RUN)])
    packer.add(OUTCOMES, [_many(session, OutcomeRow, OutcomeRow.run_id == run.id, *_OF_RUN)])
    layers = select(RunLayerRow).where(RunLayerRow.run_id == run.id).order_by(RunLayerRow.layer)
    for layer in session.scalars(layers).yield_per(4):
        packer.add(f"{LAYERS}/{layer.layer}.zst", [layer.cells])
    traced: list[str] = []
    traces = select(TokenTraceRow).where(TokenTraceRow.run_id == run.id).order_by(TokenTraceRow.prompt_id)
    for trace in session.scalars(traces).yield_per(50):
        packer.add(f"{TOKENS}/{len(traced):06}.zst", [trace.trace])
        traced.append(trace.prompt_id)
    packer.add(TRACED, [to_json(traced)])


def _many(session: Session, table: type[Base], where: Any, *without: str) -> bytes:
    rows = session.scalars(select(table).where(where).order_by(*inspect(table).primary_key))
    return to_json([values_of(row, without) for row in rows])


def _report_text(report: bytes, experts: bytes | None) -> Iterator[bytes]:
    summary = unpack_report(report)
    table = ExpertTable.from_bytes(experts) if experts is not None else ExpertTable.of(summary[EXPERTS])
    return report_json({**summary, EXPERTS: None}, table)


def revision_of(session: Session) -> str:
    """The schema that the database has."""
    return str(session.scalar(text("select version_num from alembic_version")))


class ArchivedRun:
    """Everything of an archive, read and checked; nothing is stored yet. Raises InputError that names the fault."""

    def __init__(self, archive: Unpacker, max_prompts: int) -> None:
        self._archive = archive
        self.run = one_from_json(RunRow, archive.read(RUN), RUN, OF_HERE)
        self.model = one_from_json(ModelRow, archive.read(MODEL), MODEL)
        self.prompt_set = one_from_json(PromptSetRow, archive.read(SET), SET)
        self.prompts = many_from_json(PromptRow, archive.read(PROMPTS), PROMPTS, ("prompt_set_id",))
        self.events = many_from_json(RunEventRow, archive.read(EVENTS), EVENTS, _OF_RUN)
        self._check_run()
        self._check_prompts(max_prompts)

    def rows(self, run_id: str) -> Iterator[tuple[type[Base], list[Values]]]:
        """The rows of the result, table by table, of a run that will have this id."""
        own: Values = {"run_id": run_id}
        yield RunEventRow, [own | values for values in self.events]
        name = document_name(self.run["kind"])
        if self._archive.manifest.document != name:
            raise InputError(f"the archive of a run of kind {self.run['kind']} has to have {name}", field="file")
        if self.run["kind"] == "audit":
            yield from self._audit_rows(own)
            return
        blob = self._blob(DOCUMENT, unpack_report)
        document = unpack_report(blob)
        self._check_document(name, [dumps(document)])
        schema, created = document.get("schema"), self.run["finished"] or self.run["created"]
        if not isinstance(schema, str) or len(schema) > 64:
            raise InputError(f"'{name}' in the archive has no schema's name", field="file")
        yield RunDocumentRow, [own | {"schema": schema, "document": blob, "created": created}]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The files that the run left beside its document."""
        for name in self._archive.names(FILES):
            yield name.removeprefix(f"{FILES}/"), self._archive.read(name)

    def _check_run(self) -> None:
        run = self.run
        if run["kind"] not in ("audit", *NAMES) or run["status"] != "done":
            raise InputError(
                f"'{RUN}' in the archive is of kind '{run['kind'][:40]}' and {run['status'][:40]}: expected a finished "
                "run of a kind that this version knows",
                field="file",
            )
        if (run["model_id"], run["prompt_set_id"]) != (self.model["id"], self.prompt_set["id"]):
            raise InputError("the archive's model or prompt set is not that of its run", field="file")

    def _check_prompts(self, most: int) -> None:
        """A set is what its digest says; under a digest that is not its own it would pass for another."""
        if len(self.prompts) > most:
            raise InputError(f"the archive has {len(self.prompts):,} prompts: at most {most:,} are taken", field="file")
        self.prompts.sort(key=lambda values: int(values["position"]))
        prompts = tuple(prompt_of(PromptRow(prompt_set_id="", **values)) for values in self.prompts)
        found = PromptSet(self.prompt_set["name"], prompts)
        if found.sha256 != self.prompt_set["sha256"] or len(prompts) != self.prompt_set["prompts"]:
            raise InputError(f"'{PROMPTS}' in the archive is not the set that its sha256 names", field="file")

    def _audit_rows(self, own: Values) -> Iterator[tuple[type[Base], list[Values]]]:
        report, experts = self._blob(REPORT, unpack_report), self._optional(EXPERT_ROWS, ExpertTable.from_bytes)
        self._check_document("report.json", _report_text(report, experts))
        _check_report(report, experts)
        yield (
            RunResultRow,
            [
                own
                | {
                    "report": report,
                    "certificate": _object(self._archive.read(CERTIFICATE), CERTIFICATE),
                    "routing": self._blob(ROUTING, RoutingTable.from_bytes),
                    "counts": self._optional(COUNTS, _counts) or b"",
                    "created": self.run["finished"] or self.run["created"],
                    "experts": experts,
                }
            ],
        )
        for table, name in ((ExpertScoreRow, SCORES), (OutcomeRow, OUTCOMES)):
            yield table, [own | values for values in many_from_json(table, self._archive.read(name), name, _OF_RUN)]
        for name in self._archive.names(LAYERS):
            layer = _number(name)
            yield RunLayerRow, [own | {"layer": layer, "cells": self._blob(name, _layer_reader(layer))}]
        yield from self._token_rows(own)

    def _token_rows(self, own: Values) -> Iterator[tuple[type[Base], list[Values]]]:
        prompt_ids, names = _strings(self._archive.read(TRACED), TRACED), self._archive.names(TOKENS)
        if len(prompt_ids) != len(names):
            raise InputError(f"'{TRACED}' in the archive names {len(prompt_ids)} of {len(names)} traces", field="file")
        for prompt_id, name in zip(prompt_ids, names, strict=True):
            yield TokenTraceRow, [own | {"prompt_id": prompt_id, "trace": self._blob(name, TokenTrace.from_bytes)}]

    def _blob(self, name: str, read: Callable[[bytes], object]) -> bytes:
        """The bytes of a blob, once it could be read."""
        blob = self._archive.read(name)
        try:
            read(blob)
        except ExpertScopeError as fault:
            raise InputError(f"'{name}' in the archive cannot be used: {fault.message}", field="file") from fault
        except Exception as fault:  # whatever a reader stumbles over in a blob that is not what was written
            raise InputError(f"'{name}' in the archive cannot be used: {type(fault).__name__}", field="file") from fault
        return blob

    def _optional(self, name: str, read: Callable[[bytes], object]) -> bytes | None:
        return self._blob(name, read) if name in self._archive.names("result") else None

    def _check_document(self, name: str, pieces: Iterator[bytes] | list[bytes]) -> None:
        """The readable document has to be what the blobs give, so that nobody reads one thing and imports another."""
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        if digest.digest() != hashlib.sha256(self._archive.read(name)).digest():
            raise InputError(f"'{name}' in the archive is not what its result gives", field="file")


def _check_report(report: bytes, experts: bytes | None) -> None:
    """Against the published schema; of the experts, who are alike, the first two hundred."""
    summary = unpack_report(report)
    rows = ExpertTable.from_bytes(experts).rows(0, _EXPERTS_CHECKED) if experts is not None else summary[EXPERTS]
    validate_report({**summary, EXPERTS: rows[:_EXPERTS_CHECKED]})


def _counts(blob: bytes) -> None:
    if blob:
        PromptCounts.from_bytes(blob)


def _layer_reader(layer: int) -> Callable[[bytes], object]:
    return lambda blob: LayerCounts.from_bytes(blob, layer)


def _number(name: str) -> int:
    stem = name.rpartition("/")[2].removesuffix(".zst")
    if not (stem.isascii() and stem.isdecimal() and len(stem) < 7):
        raise InputError(f"'{name}' in the archive is named after no layer", field="file")
    return int(stem)


def _object(data: bytes, name: str) -> Values:
    return _parsed(data, name, dict)  # type: ignore[no-any-return]


def _strings(data: bytes, name: str) -> list[str]:
    found = _parsed(data, name, list)
    if not all(isinstance(one, str) for one in found):
        raise InputError(f"'{name}' in the archive has to be a list of ids", field="file")
    return found  # type: ignore[no-any-return]


def _parsed(data: bytes, name: str, kind: type) -> Any:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise InputError(f"'{name}' in the archive is not JSON: {fault}", field="file") from fault
    if not isinstance(found, kind):
        raise InputError(f"'{name}' in the archive is not of its form", field="file")
    return found
