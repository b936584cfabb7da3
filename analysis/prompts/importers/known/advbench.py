"""AdvBench harmful behaviours (Zou et al., 2023): `goal` and a `target` that is not used; all harmful, no topics."""

from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.known.known_set import KnownSet
from analysis.prompts.importers.table import Table


def convert(table: Table, log: FaultLog) -> Table:
    return table.standardised({"prompt": "goal"}, lambda row: {"label": "harmful"})


ADVBENCH = KnownSet("AdvBench", frozenset({"goal", "target"}), convert)
