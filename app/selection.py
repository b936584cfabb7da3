"""What somebody has selected in a run: experts, a topic, a label, a prompt. Every tab of the run shows the same.

It lives in the address alone (`sel`, `topic`, `label`, `prompt`), so that a link shows a colleague the same view. In
the browser static/js/selection.js changes it; pages read it here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

LABELS = ("harmful", "benign")
NAMES = ("sel", "topic", "label", "prompt")
_PLACE = re.compile(r"(\d+)[.:](\d+)")


class Place(NamedTuple):
    """One expert: its decoder layer and its index in it."""

    layer: int
    expert: int


@dataclass(frozen=True)
class Selection:
    """`experts` in the order in which they were chosen; None where nothing is selected."""

    experts: tuple[Place, ...] = ()
    topic: str | None = None
    label: str | None = None
    prompt: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Selection":
        """Out of an address; what is no expert and no label is passed over."""
        found = [_PLACE.fullmatch(part) for part in query.get("sel", "").split(",")]
        places = dict.fromkeys(Place(int(one[1]), int(one[2])) for one in found if one)
        label = query.get("label")
        return cls(
            tuple(places), query.get("topic") or None, label if label in LABELS else None, query.get("prompt") or None
        )

    def query(self) -> dict[str, str | None]:
        """The part of an address that means this selection."""
        experts = ",".join(f"{layer}.{expert}" for layer, expert in self.experts)
        return {"sel": experts or None, "topic": self.topic, "label": self.label, "prompt": self.prompt}
