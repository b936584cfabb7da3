"""JailbreakBench behaviours (Chao et al., 2024): 100 harmful and 100 benign goals, paired by their index.

The published files have the same header on both sides and no label, so the file's name has to say which side it is. The
matched form holds both sides with a `label` and a `pair_index`.
"""

from typing import Literal

from analysis.prompts.importers.faults import FaultLog, refusal
from analysis.prompts.importers.known.known_set import KnownSet
from analysis.prompts.importers.table import Row, Table

_SIDES: tuple[Literal["harmful"], Literal["benign"]] = ("harmful", "benign")


def convert(table: Table, log: FaultLog) -> Table:
    """One side of the set. Raises `PromptFileError` when the file's name does not say which."""
    sides = [side for side in _SIDES if side in log.filename.lower()]
    if len(sides) != 1:
        alike = "recognised as JailbreakBench, whose harmful and benign files look alike"
        raise refusal(log.filename, f"{alike}; put 'harmful' or 'benign' into the file's name")
    index = next((name for name in ("index", "") if name in table.columns), None)
    places = {row.number: place for place, row in enumerate(table.rows)}

    def made(row: Row) -> dict[str, object]:
        place = row.text(index) if index is not None else str(places[row.number])
        return {"label": sides[0], "pair_id": f"jbb-{place}", "id": f"jbb-{sides[0]}-{place}"}

    return table.standardised({"prompt": "goal", "topic": "category"}, made)


def convert_matched(table: Table, log: FaultLog) -> Table:
    origin = {"prompt": "prompt", "label": "label", "topic": "category", "id": "id"}
    return table.standardised(origin, lambda row: {"pair_id": f"jbb-{row.text('pair_index')}"})


JAILBREAKBENCH = KnownSet("JailbreakBench", frozenset({"goal", "category"}), convert)
JAILBREAKBENCH_MATCHED = KnownSet(
    "JailbreakBench", frozenset({"pair_index", "label", "category", "behavior", "prompt"}), convert_matched
)
