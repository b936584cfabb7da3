"""What the importer must know of a public prompt set."""

from collections.abc import Callable
from dataclasses import dataclass

from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.table import Table


@dataclass(frozen=True)
class KnownSet:
    """`columns` give the set away; `convert` puts its table under the standard columns and notes what it leaves out."""

    name: str
    columns: frozenset[str]
    convert: Callable[[Table, FaultLog], Table]
