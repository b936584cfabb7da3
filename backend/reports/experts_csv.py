"""experts.csv: one row for each expert, best first, as a spreadsheet reads it."""

import csv
import io
from collections.abc import Mapping
from typing import Any

EVIDENCE = ("correlated", "stable", "significant", "causal", "selective", "replicated")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def experts_csv(report: Mapping[str, Any]) -> str:
    """The report's experts as CSV. Numbers are written in full; an empty cell is a withheld value."""
    experts = report["experts"]
    criteria = list(dict.fromkeys(name for expert in experts for name in expert["scores"]))
    details = list(dict.fromkeys(name for expert in experts for name in expert.get("details", {})))
    rows = (_row(expert, criteria, details) for expert in experts)  # 48,000 of them are not kept at once
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_columns(criteria, details))
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return out.getvalue()


def _columns(criteria: list[str], details: list[str]) -> list[str]:
    blank: dict[str, Any] = {"scores": {}, "evidence": {}}
    return list(_row(blank, criteria, details))


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
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
