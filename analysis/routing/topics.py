"""Which topics an expert belongs to: lift by topic, the share of a topic's tokens that select it against even use, k/E.

OLMoE (arXiv 2409.02060) calls it domain specialisation. Read from the routing table, in the prompt window; the report
gives each layer's summary and each expert's first topic.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.errors import WithheldError
from analysis.routing.table import RoutingTable, topic_group


@dataclass(frozen=True)
class FavouriteTopic:
    """The topic with an expert's largest lift."""

    expert: int
    topic: str
    lift: float


@dataclass(frozen=True)
class TopicSpecialisation:
    """`lift` [topics, layers, experts] = f(topic) · E / k; 1 is even use. `layers` are the model's indices."""

    topics: tuple[str, ...]
    layers: tuple[int, ...]
    lift: npt.NDArray[np.float32]

    def __repr__(self) -> str:
        return (
            f"TopicSpecialisation({len(self.topics)} topics × {len(self.layers)} layers × {self.lift.shape[2]} experts)"
        )

    def favourite(self, layer: int, expert: int) -> FavouriteTopic:
        """The topic that uses (layer, expert) most."""
        lifts = self.lift[:, self.layers.index(layer), expert]
        best = int(lifts.argmax())
        return FavouriteTopic(expert, self.topics[best], float(lifts[best]))

    def most_specialised(self, layer: int) -> FavouriteTopic:
        """The expert of a layer with the largest lift of all, and its topic."""
        best = self.lift[:, self.layers.index(layer)].max(0).argmax()
        return self.favourite(layer, int(best))

    def mean(self, layer: int) -> float:
        """Mean over a layer's experts of their largest lift; 1 where every topic uses all experts evenly."""
        return float(self.lift[:, self.layers.index(layer)].max(0).mean())


def topic_specialisation(table: RoutingTable) -> TopicSpecialisation:
    """Lift by topic. Raises WithheldError below two topics."""
    names = [group.removeprefix(topic_group("")) for group in table.groups if _is_topic(group)]
    if len(names) < 2:
        raise WithheldError(f"it compares topics, and the prompts name {len(names)}: name at least two")
    lift = np.stack([table.cells("lift", topic_group(name)) for name in names])
    return TopicSpecialisation(tuple(names), table.layers, lift)


def _is_topic(group: str) -> bool:
    return group.startswith(topic_group("")) and not group.endswith(("/harmful", "/benign"))
