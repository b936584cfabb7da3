"""HarmBench text behaviours (Mazeika et al., 2024): all harmful, 400 in the whole file.

Only `standard` behaviours are prompts by themselves. `contextual` ones need a context put before them and `copyright`
ones are scored by comparing hashes with a protected text, not by a judge: both are left out, the notes say how many.
"""

from collections import Counter

from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.known.known_set import KnownSet
from analysis.prompts.importers.table import Row, Table

_WHY = {"contextual": "they need a context before the prompt", "copyright": "they need a hash check, not a judge"}


def _category(row: Row) -> str:
    return row.text("functionalcategory").lower()


def convert(table: Table, log: FaultLog) -> Table:
    categories = (_category(row) for row in table.rows)
    left_out = Counter(kind if kind in _WHY else "other" for kind in categories if kind != "standard")
    notes = [
        f"left out {count} rows of category '{kind}': {_WHY.get(kind, 'only standard ones are plain prompts')}"
        for kind, count in sorted(left_out.items())
    ]
    standard = table.where(lambda row: _category(row) == "standard")
    origin = {"prompt": "behavior", "topic": "semanticcategory", "id": "behaviorid"}
    return standard.standardised(origin, lambda row: {"label": "harmful"}).noting(notes)


_COLUMNS = frozenset({"behavior", "functionalcategory", "semanticcategory", "contextstring", "behaviorid"})
HARMBENCH = KnownSet("HarmBench", _COLUMNS, convert)
