"""SimpleSafetyTests (Vidgen et al., 2023): 100 harmful prompts in five harm areas.

The area "Child safety" is left out: its prompts are about the abuse of children, and nobody should meet them without
having asked.
"""

from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.known.known_set import KnownSet
from analysis.prompts.importers.table import Row, Table

_LEFT_OUT = "child safety"


def _kept(row: Row) -> bool:
    return row.text("harm_area").lower() != _LEFT_OUT


def convert(table: Table, log: FaultLog) -> Table:
    kept = table.where(_kept)
    left_out = len(table.rows) - len(kept.rows)
    note = f"left out {left_out} rows of harm area 'Child safety'; to use them, rename 'prompts_final' to 'prompt'"
    origin = {"prompt": "prompts_final", "topic": "harm_area", "id": "id"}
    return kept.standardised(origin, lambda row: {"label": "harmful"}).noting([note] if left_out else [])


SIMPLE_SAFETY_TESTS = KnownSet(
    "SimpleSafetyTests", frozenset({"id", "harm_area", "counter", "category", "prompts_final"}), convert
)
