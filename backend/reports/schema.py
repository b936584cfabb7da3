"""The published JSON Schema of report.json, and the check of a report against it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from analysis.errors import Fault, InputError

SCHEMA_FILE = Path(__file__).with_name("report.schema.json")
_MAX_FAULTS = 20


@cache
def report_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of "expertscope.report/1"."""
    schema: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def validate_report(report: object) -> None:
    """Raise InputError, with every place at fault, when `report` is not an expertscope.report/1 document."""
    from jsonschema import Draft202012Validator

    found = sorted(Draft202012Validator(report_schema()).iter_errors(report), key=lambda error: error.json_path)
    if found:
        faults = [Fault(error.message[:300], column=error.json_path) for error in found[:_MAX_FAULTS]]
        raise InputError(
            f"not a report of the schema expertscope.report/1: {len(found)} faults, {faults[0]}", faults=faults
        )
