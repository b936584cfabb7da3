"""The address of one routed expert."""

from typing import NamedTuple


class ExpertId(NamedTuple):
    """`layer` is the decoder layer's index in the model (dense layers counted), `expert` the routed expert's; both
    0-based.
    """

    layer: int
    expert: int

    def __str__(self) -> str:
        return f"L{self.layer}·E{self.expert}"
