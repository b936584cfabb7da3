"""XSTest (Röttger et al., 2024): 250 safe prompts that look unsafe, and 200 unsafe contrasts.

The file has no pair ids. A contrast of type `contrast_T` answers the safe prompt of type T with the same `focus`; where
several share a focus, the file lists both sides in the same order.
"""

from collections import defaultdict

from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.known.known_set import KnownSet
from analysis.prompts.importers.table import Row, Table

_CONTRAST = "contrast_"
# Two safe types answer each of these contrasts; the one named here shares the focus.
_PARTNER = {"discr": "real_group_nons_discr", "privacy": "privacy_fictional"}
_TOPIC = {
    "nons_group_real_discr": "discr",
    "real_group_nons_discr": "discr",
    "privacy_public": "privacy",
    "privacy_fictional": "privacy",
}


def convert(table: Table, log: FaultLog) -> Table:
    pairs = _pair_ids(table.rows)
    return table.standardised(
        {"prompt": "prompt", "label": "label", "id": "id"},
        lambda row: {"topic": _topic(row), "pair_id": pairs.get(row.number)},
    )


def _topic(row: Row) -> str:
    kind = row.text("type").removeprefix(_CONTRAST)
    return _TOPIC.get(kind, kind)


def _pair_ids(rows: tuple[Row, ...]) -> dict[int, str]:
    """Row number → pair id, for every row that has a counterpart."""
    safe: dict[tuple[str, str], list[int]] = defaultdict(list)
    contrast: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        kind, focus = row.text("type"), row.text("focus").lower()
        if kind.startswith(_CONTRAST):
            theme = kind.removeprefix(_CONTRAST)
            contrast[_PARTNER.get(theme, theme), focus].append(row.number)
        else:
            safe[kind, focus].append(row.number)
    pairs: dict[int, str] = {}
    for key, unsafe_rows in contrast.items():
        for place, (left, right) in enumerate(zip(safe[key], unsafe_rows, strict=False), 1):
            pairs[left] = pairs[right] = "-".join(part for part in (*key, str(place)) if part)
    return pairs


XSTEST = KnownSet("XSTest", frozenset({"id", "prompt", "type", "label", "focus", "note"}), convert)
