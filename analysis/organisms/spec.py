"""What an organism is made of, as data: read by the registry, the trainer and the checkpoint writer."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class OrganismSpec:
    """One design. `groups` holds the number of planted experts in each group.

    Refusal ends when every group has lost a member; without groups nothing is planted. `trains` names the
    parameters that learn to refuse.
    """

    name: str
    summary: str
    family: str
    groups: tuple[int, ...]
    trains: Literal["experts", "attention"]
