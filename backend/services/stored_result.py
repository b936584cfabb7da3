"""Takes an audit's result apart into rows, and keeps the document of any other run whole. The inverse reads are in
`backend.services.results` and `backend.services.documents`.

Three things of an audit grow with layers times experts and are kept so that a page reads the part that it shows: the
report's experts (`ExpertTable`), and for each layer the selections per prompt and the co-activation (`LayerCounts`).
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from analysis.blob import compress, decompress
from analysis.errors import DamagedError
from analysis.result import Answer, AuditResult
from backend.db.tables import ExpertScoreRow, OutcomeRow, RunDocumentRow, RunLayerRow, RunResultRow, TokenTraceRow
from backend.services.expert_table import ExpertTable, dumps
from backend.services.layer_counts import LayerCounts

_MAX_REPORT = 1 << 30
EXPERTS = "experts"


def store_result(session: Session, run_id: str, result: AuditResult) -> None:
    """Add the rows of one run's result, in place of any that are there, inside the caller's transaction."""
    for table in (RunResultRow, RunLayerRow, ExpertScoreRow, OutcomeRow, TokenTraceRow):
        session.execute(delete(table).where(table.run_id == run_id))
    session.add(
        RunResultRow(
            run_id=run_id,
            report=pack_report({**result.report, EXPERTS: None}),
            certificate=result.certificate,
            routing=replace(result.routing, coactivation=None).to_bytes(),
            counts=b"",
            created=datetime.now(UTC),
            experts=ExpertTable.of(result.report[EXPERTS]).to_bytes(),
        )
    )
    scores = [_score(run_id, row) for row in result.report[EXPERTS]]
    outcomes = [_outcome(run_id, position, answer) for position, answer in enumerate(result.answers)]
    traces = [{"run_id": run_id, "prompt_id": one.prompt_id, "trace": one.to_bytes()} for one in result.tokens]
    stored: list[tuple[Any, list[dict[str, Any]]]] = [
        (ExpertScoreRow, scores),
        (OutcomeRow, outcomes),
        (TokenTraceRow, traces),
    ]
    for table, rows in stored:
        if rows:
            session.execute(insert(table), rows)
    for layer in result.routing.layers:
        cells = LayerCounts.of(layer, result.routing, result.counts).to_bytes()
        session.execute(insert(RunLayerRow), [{"run_id": run_id, "layer": layer, "cells": cells}])


def report_json(summary: dict[str, Any], experts: ExpertTable) -> Iterator[bytes]:
    """The whole report as compact JSON, piece by piece. `summary` has None where the experts belong."""
    for number, (name, value) in enumerate(summary.items()):
        yield (b"," if number else b"{") + dumps(name) + b":"
        if name != EXPERTS:
            yield dumps(value)
            continue
        yield b"["
        yield from experts.json()
        yield b"]"
    yield b"}"


def store_document(session: Session, run_id: str, document: dict[str, Any]) -> None:
    """Add the one document of a run that is no audit, in place of any that is there."""
    session.execute(delete(RunDocumentRow).where(RunDocumentRow.run_id == run_id))
    packed = pack_report(document)
    session.add(RunDocumentRow(run_id=run_id, schema=document["schema"], document=packed, created=datetime.now(UTC)))


def pack_report(report: dict[str, Any]) -> bytes:
    """Compressed JSON. A NaN is a mistake of the analysis, which has null for it, and raises ValueError."""
    return compress(json.dumps(report, ensure_ascii=False, allow_nan=False).encode())


def unpack_report(blob: bytes) -> dict[str, Any]:
    """The inverse of `pack_report`. Raises DamagedError when the blob is damaged."""
    text = decompress(blob, _MAX_REPORT)
    try:
        report = json.loads(text)
    except ValueError as fault:
        raise DamagedError(f"a stored document is damaged: it is not JSON ({fault})") from fault
    if not isinstance(report, dict):
        raise DamagedError("a stored document is damaged: it is not an object")
    return report


def show_answer(row: OutcomeRow) -> Answer:
    span = None if row.span_start is None or row.span_end is None else (row.span_start, row.span_end)
    return Answer(row.prompt_id, row.variant, row.label, row.rule, span, row.text, row.margin, row.second_label)  # type: ignore[arg-type]


def _score(run_id: str, row: dict[str, Any]) -> dict[str, object]:
    scores = row.get("scores") or {}
    return {
        "run_id": run_id,
        "layer": row["layer"],
        "expert": row["expert"],
        "rank": row["rank"],
        "flagged": row["flagged"],
        "level": row["level"],
        "effect": (row.get("effect") or {}).get("estimate"),
        "q_value": row.get("q_value"),
        **{name: scores.get(name) for name in ("raset", "raset_gradient", "safex", "ablation")},
    }


def _outcome(run_id: str, position: int, answer: Answer) -> dict[str, object]:
    start, end = answer.span or (None, None)
    return {
        "run_id": run_id,
        "position": position,
        "prompt_id": answer.prompt_id,
        "variant": answer.variant,
        "label": answer.label,
        "rule": answer.rule,
        "span_start": start,
        "span_end": end,
        "margin": answer.margin,
        "text": answer.text,
        "second_label": answer.second_label,
    }
