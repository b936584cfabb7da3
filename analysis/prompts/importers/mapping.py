"""Says which column of a foreign file is which, and which of its words mean harmful and benign.

A person writes a `ColumnMapping` down or takes the one that `guess_mapping` offers; `parse_prompts` reads by it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.errors import InputError
from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.table import STANDARD_COLUMNS, Row, Table, column_name
from analysis.prompts.importers.text import listed, shown

EVERY = "*"
"""Stands for every value that is not named, and for every row of a file without a label column."""
MEANINGS = ("harmful", "benign", "")
"""What a value of a label column may be mapped to; "" leaves the prompt without a label."""
MOST_VALUES = 100
"""A column with more different values than this holds no labels."""

_NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": (
        *("prompt", "prompts", "prompt_text", "user_prompt", "question", "query", "instruction", "request", "goal"),
        *("behavior", "behaviour", "input", "user_input", "message", "text", "sentence", "content"),
    ),
    "label": (
        *(
            "label",
            "labels",
            "is_harmful",
            "harmful",
            "prompt_harm_label",
            "harm_label",
            "unsafe",
            "is_unsafe",
            "is_safe",
        ),
        *("safe", "safety", "toxicity", "toxic", "malicious", "class", "verdict", "rating"),
    ),
    "topic": (
        *("topic", "topics", "category", "harm_category", "risk_category", "subcategory", "semanticcategory", "domain"),
        *("harm_area", "area", "theme", "subject", "l2-category"),
    ),
    "pair_id": ("pair_id", "pair", "pairid", "pair_index", "match_id", "matched", "twin"),
    "group": ("group",),
    "id": ("id", "prompt_id", "uid", "uuid", "key", "behaviorid"),
}
_HARMFUL = frozenset(("harmful", "malicious", "unsafe", "harm", "toxic", "bad", "dangerous", "adversarial", "attack"))
_BENIGN = frozenset(("benign", "harmless", "safe", "unharmful", "not harmful", "good", "ok", "normal", "clean", "none"))
_YES, _NO = frozenset(("1", "true", "yes", "y", "t")), frozenset(("0", "false", "no", "n", "f"))
_NAMES_SAFETY = re.compile(r"(?<!un)safe(?!ty)|benign|harmless")


@dataclass(frozen=True)
class ColumnMapping:
    """`columns`: standard column → the file's. `labels`: a value of the label column → harmful, benign, "" (none).

    Names and values are compared in lower case without outer space. Without `labels` the label column holds the words
    that ExpertScope knows. `EVERY` as a value stands for all that are not named.
    """

    columns: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise InputError for a standard column or a meaning that there is not, and where nothing has the prompts."""
        for name in self.columns:
            if name not in STANDARD_COLUMNS:
                expected = ", ".join(STANDARD_COLUMNS)
                raise InputError(
                    f"columns: '{shown(name)}' is no column of a prompt: expected {expected}", field="columns"
                )
        for value, meaning in self.labels.items():
            if meaning not in MEANINGS:
                raise InputError(
                    f"labels: '{shown(value)}' is mapped to '{shown(meaning)}': expected harmful, benign or nothing",
                    field="labels",
                )
        if "prompt" not in self.columns:
            raise InputError(
                "columns: no column is named for 'prompt': say which one holds the prompts", field="columns"
            )

    @property
    def file_columns(self) -> dict[str, str]:
        """Standard column → the file's column as a table names it."""
        return {standard: column_name(name) for standard, name in self.columns.items()}

    def check_columns(self, columns: Sequence[str], log: FaultLog, *, row: int | None) -> None:
        """Raises `PromptFileError` unless the header has every mapped column exactly once."""
        times = Counter(columns)
        for standard, name in self.file_columns.items():
            if not times[name]:
                found = listed(column for column in columns if column) or "none"
                log.add(
                    f"there is no such column to take '{standard}' from; found {found}", row=row, column=shown(name)
                )
            elif times[name] > 1:
                log.add(f"the column appears {times[name]} times; keep one", row=row, column=shown(name))
        log.close()

    def convert(self, table: Table) -> Table:
        """The table under standard columns, with label values as they are mapped; what is not mapped stays as it is."""
        origin = self.file_columns
        unused = [name for name in table.columns if name and name not in origin.values()]
        meanings = {label_value(value): meaning for value, meaning in self.labels.items()}

        def made(row: Row) -> dict[str, object]:
            cell = row.cells.get(origin["label"]) if "label" in origin else None
            if not meanings:
                return {}
            value = label_value(cell)
            return {"label": meanings.get(value, meanings.get(EVERY, value))}

        converted = table.standardised(origin, made)
        return converted.noting([f"columns that are not used: {listed(unused)}"] if unused else [])


def label_value(cell: object) -> str:
    """A cell of a label column as it is compared: "1" for 1, 1.0 and "1 ", "true" for True and "TRUE"."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip().strip("\ufeff").strip().lower()


def label_values(table: Table, column: str) -> dict[str, int]:
    """The different values of a column with their counts, the most frequent first; {} where there are too many."""
    values = Counter(label_value(row.cells.get(column)) for row in table.rows)
    return dict(values.most_common()) if len(values) <= MOST_VALUES else {}


def guess_mapping(table: Table) -> ColumnMapping | None:
    """What the columns most likely are: by their names, and the prompts else by the longest texts. None for no text."""
    found: dict[str, str] = {}
    for standard, names in _NAMES.items():
        match = next((name for name in names if name in table.columns and name not in found.values()), None)
        if match is not None:
            found[standard] = match
    if "prompt" not in found:
        longest = _longest(table, [name for name in table.columns if name and name not in found.values()])
        if longest is None:
            return None
        found["prompt"] = longest
    labels = guess_labels(found["label"], label_values(table, found["label"])) if "label" in found else {}
    return ColumnMapping({name: found[name] for name in STANDARD_COLUMNS if name in found}, labels)


def guess_labels(column: str, values: Iterable[str]) -> dict[str, str]:
    """What values of the label column `column` most likely mean; a value that says nothing is left out.

    Yes and 1 are harmful, unless the column's name asks whether a prompt is safe.
    """
    asks_safe = _NAMES_SAFETY.search(column) is not None
    yes, no = ("benign", "harmful") if asks_safe else ("harmful", "benign")
    known = {**dict.fromkeys(_HARMFUL, "harmful"), **dict.fromkeys(_BENIGN, "benign")}
    known |= {**dict.fromkeys(_YES, yes), **dict.fromkeys(_NO, no), "": ""}
    return {value: known[value] for value in values if value in known}


def _longest(table: Table, columns: Sequence[str]) -> str | None:
    """The column whose texts are longest on average."""
    rows = table.rows[:200]

    def length(column: str) -> int:
        return sum(len(cell) for row in rows if isinstance(cell := row.cells.get(column), str))

    best = max(columns, key=length, default=None)
    return best if best is not None and length(best) else None
