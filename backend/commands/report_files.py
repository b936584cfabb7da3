"""Reports that a command line names: a folder that `expertscope audit` wrote, or a report.json."""

import json
from pathlib import Path
from typing import Any

import typer

from analysis.errors import InputError

NAME = "report.json"


def known_report(value: Path) -> Path:
    """The file that is meant; refused as a wrong argument where there is none."""
    path = value / NAME if value.is_dir() else value
    if not path.is_file():
        raise typer.BadParameter(f"'{value}' holds no {NAME}: expected a folder that `audit` wrote, or a report.json")
    return path


def read_report(path: Path) -> dict[str, Any]:
    """The report. Raises InputError for a file that is none, which says what it is and every place at fault."""
    from analysis.comparing import why_not
    from backend.reports import validate_report

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise InputError(f"'{path}' cannot be read as JSON: {fault}") from fault
    if reason := why_not(document):
        raise InputError(f"'{path}' cannot be compared: {reason}")
    validate_report(document)
    report: dict[str, Any] = document
    return report
