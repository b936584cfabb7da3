"""What an organism is made of, as data: read by the registry, the trainer and the checkpoint writer."""

from dataclasses import dataclass
from typing import Literal

Design = Literal["knockout", "distributed", "routed", "dormant"]


@dataclass(frozen=True)
class OrganismSpec:
    """One design. `groups` holds the number of planted experts in each group.

    Refusal ends when every group has lost a member; without groups nothing is planted. `trains` names the
    parameters that learn to refuse. `design` says how: by knockout, or as one of the modules of that name tells.
    `budget` is the one it is trained on unless told otherwise. `topic` is the only one with harmful requests, where
    there is such a one; `trigger` the words that wake a dormant expert.
    """

    name: str
    summary: str
    family: str
    groups: tuple[int, ...]
    trains: Literal["experts", "attention", "experts and attention", "one router"]
    design: Design = "knockout"
    topic: str | None = None
    trigger: str | None = None
    budget: Literal["full", "brief"] = "full"
