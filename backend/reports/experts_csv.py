"""experts.csv: one row for each expert, best first, as a spreadsheet reads it."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

EVIDENCE = ("correlated", "stable", "significant", "causal", "selective", "replicated")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def experts_csv(report: Mapping[str, Any]) -> str:
    """The report's experts as CSV. Numbers are written in full; an empty cell is a withheld value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(expert_columns(report))
    writer.writerows([_cell(value) for value in row.values()] for row in expert_rows(report))
    return out.getvalue()


def expert_columns(report: Mapping[str, Any]) -> list[str]:
    """The columns in their order; those of criteria and details are the report's own."""
    blank: dict[str, Any] = {"scores": {}, "evidence": {}}
    return list(_row(blank, *_names(report)))


def expert_rows(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """For each expert, best first, column name to value; None is a withheld value."""
    names = _names(report)
    return (_row(expert, *names) for expert in report["experts"])


def _names(report: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Criteria, and what they say beside their scores, in the order in which they are first met."""
    experts = report["experts"]
    criteria = list(dict.fromkeys(name for expert in experts for name in expert["scores"]))
    details = list(dict.fromkeys(name for expert in experts for name in expert.get("details", {})))
    return criteria, details


def _row(expert: Mapping[str, Any], criteria: list[str], details: list[str]) -> dict[str, Any]:
    """Column name to value, in the file's order; what criteria say beside their scores stands last."""
    return {
        **{name: expert.get(name) for name in ("layer", "expert", "rank", "flagged", "level", "how")},
        **{name: expert["evidence"].get(name) for name in EVIDENCE},
        **{f"score_{name}": expert["scores"].get(name) for name in criteria},
        **_groups(expert, "frequency"),
        **_groups(expert, "probability"),
        **{name: expert.get(name) for name in ("lift", "difference")},
        **_interval(expert, "effect"),
        **{f"null_{name}": (expert.get("null") or {}).get(name) for name in ("mean", "sd", "n")},
        **{name: expert.get(name) for name in ("p_value", "q_value", "stability", "selectivity")},
        **{name.replace(".", "_"): expert.get("details", {}).get(name) for name in details},
    }


def _groups(expert: Mapping[str, Any], quantity: str) -> dict[str, Any]:
    values = expert.get(quantity) or {}
    return {f"{quantity}_{group}": values.get(group) for group in ("all", "harmful", "benign")}


def _interval(expert: Mapping[str, Any], name: str) -> dict[str, Any]:
    interval = expert.get(name) or {}
    names = {name: "estimate", f"{name}_low": "low", f"{name}_high": "high", f"{name}_n": "n"}
    return {column: interval.get(part) for column, part in names.items()}


def _cell(value: object) -> str | int | float:
    """A value as a cell. Text that a spreadsheet would run as a formula gets a quote in front; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    return spreadsheet_text(str(value))


def spreadsheet_text(text: str) -> str:
    """A text for a CSV cell: one that a spreadsheet would run as a formula gets a quote in front."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
