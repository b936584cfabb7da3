"""Routing summed over prompts: one number per window, group, layer and expert.

The trace fills it, the report, the API, the CSV and the heatmap read their cells from it, so that all four agree.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from analysis.blob import pack, unpack
from analysis.errors import InputError
from analysis.routing.coactivation import Coactivation
from analysis.routing.vocabulary import TopTokens

Window = Literal["prompt", "boundary", "response"]
Quantity = Literal["frequency", "probability", "lift", "difference"]
WINDOWS: tuple[Window, ...] = get_args(Window)
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
SUBTRACTED: tuple[Quantity, ...] = ("frequency", "probability", "lift")
"""What one group may have less of than another. A difference of harmful and benign is one already."""


def topic_group(topic: str) -> str:
    return f"topic:{topic}"


def favoured_label(group: str, minus: str) -> Literal["harmful", "benign"] | None:
    """The label that positive cells of `group` − `minus` speak for; None unless the two differ in their label alone."""
    inside, _, label = group.rpartition("/")
    other_inside, _, other_label = minus.rpartition("/")
    if inside != other_inside:
        return None
    if (label, other_label) == ("harmful", "benign"):
        return "harmful"
    return "benign" if (label, other_label) == ("benign", "harmful") else None


@dataclass(frozen=True)
class RoutingTable:
    """Mean selection frequency f and mean router probability p, averaged within a prompt first, then over prompts.

    `frequency` and `probability` are float32 [windows, groups, layers, experts]; NaN where nothing was observed.
    f sums to k over experts, p to 1. `layers` are the MoE layers' indices in the model. `coactivation` and `top_tokens`
    are over all prompts; None where a run has none.
    """

    layers: tuple[int, ...]
    experts: int
    top_k: int
    groups: tuple[str, ...]
    frequency: npt.NDArray[np.float32]
    probability: npt.NDArray[np.float32]
    windows: tuple[Window, ...] = field(default=WINDOWS)
    coactivation: Coactivation | None = None
    top_tokens: TopTokens | None = None

    def __repr__(self) -> str:
        size = f"{len(self.groups)} groups × {len(self.layers)} layers × {self.experts} experts"
        return f"RoutingTable({size}, windows {', '.join(self.windows)})"

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that its groups are of."""
        named = (group.removeprefix(topic_group("")) for group in self.groups if group.startswith(topic_group("")))
        return tuple(name for name in named if not name.endswith(("/harmful", "/benign")))

    def cells(
        self, quantity: str, group: str = "all", window: str = "prompt", minus: str | None = None
    ) -> npt.NDArray[np.float32]:
        """The float32 [layers, experts] picture of one quantity, less that of the group `minus` where one is given.

        Raises InputError for a name it does not know, and for a difference of a difference.
        """
        if minus is not None:
            return self._less(quantity, group, window, minus)
        if quantity == "frequency":
            return self._slice(self.frequency, group, window)
        if quantity == "probability":
            return self._slice(self.probability, group, window)
        if quantity == "lift":
            return self._slice(self.frequency, group, window) * np.float32(self.experts / self.top_k)
        if quantity == "difference":
            return self._difference(group, window)
        raise InputError(f"unknown quantity '{quantity}': expected one of {', '.join(QUANTITIES)}", field="quantity")

    def _less(self, quantity: str, group: str, window: str, minus: str) -> npt.NDArray[np.float32]:
        if quantity not in SUBTRACTED:
            raise InputError(
                f"quantity '{quantity}' of one group less another does not exist: expected one of "
                f"{', '.join(SUBTRACTED)}",
                field="quantity",
            )
        if minus not in self.groups:
            raise InputError(f"unknown group '{minus}': this run has {', '.join(self.groups)}", field="minus")
        less: npt.NDArray[np.float32] = self.cells(quantity, group, window) - self.cells(quantity, minus, window)
        return less

    def _difference(self, group: str, window: str) -> npt.NDArray[np.float32]:
        halves = ("harmful", "benign") if group == "all" else (f"{group}/harmful", f"{group}/benign")
        if group != "all" and (not group.startswith("topic:") or group.endswith(("/harmful", "/benign"))):
            raise InputError(
                f"a difference of harmful and benign inside group '{group}' does not exist: use 'all' or a topic",
                field="group",
            )
        harmful, benign = (self._slice(self.frequency, half, window) for half in halves)
        return harmful - benign

    def _slice(self, array: npt.NDArray[np.float32], group: str, window: str) -> npt.NDArray[np.float32]:
        if group not in self.groups:
            raise InputError(f"unknown group '{group}': this run has {', '.join(self.groups)}", field="group")
        if window not in self.windows:
            raise InputError(f"unknown window '{window}': expected one of {', '.join(self.windows)}", field="window")
        cells: npt.NDArray[np.float32] = array[self.windows.index(window), self.groups.index(group)]
        return cells

    def to_bytes(self) -> bytes:
        meta = {"layers": self.layers, "experts": self.experts, "top_k": self.top_k, "groups": self.groups}
        arrays = {"frequency": self.frequency, "probability": self.probability}
        if self.coactivation is not None:
            arrays |= self.coactivation.arrays()
        if self.top_tokens is not None:
            arrays |= self.top_tokens.arrays()
            meta |= self.top_tokens.meta()
        return pack(arrays, meta)

    @classmethod
    def from_bytes(cls, blob: bytes) -> "RoutingTable":
        arrays, meta = unpack(blob)
        layers = tuple(meta["layers"])
        return cls(
            layers=layers,
            experts=meta["experts"],
            top_k=meta["top_k"],
            groups=tuple(meta["groups"]),
            frequency=arrays["frequency"],
            probability=arrays["probability"],
            coactivation=Coactivation.from_arrays(arrays, layers, meta["experts"]),
            top_tokens=TopTokens.from_blob(arrays, meta),
        )
