"""Each topic's nearest one, read off a matrix of distances."""

from dataclasses import dataclass

from backend.services.records import TopicDistances


@dataclass(frozen=True)
class TopicNeighbour:
    """`nearest` is the other topic at the least `distance` (JSD); None without a pair with any. `within` is the mean
    distance between prompts of the topic itself, None with fewer than two."""

    topic: str
    nearest: str | None
    distance: float | None
    within: float | None


def nearest_topics(distances: TopicDistances) -> list[TopicNeighbour]:
    """One for each topic, those with the closest neighbour first."""
    found = [_nearest(distances, place) for place in range(len(distances.topics))]
    return sorted(found, key=lambda one: (one.distance is None, one.distance or 0.0, one.topic))


def _nearest(distances: TopicDistances, place: int) -> TopicNeighbour:
    values, topics = distances.values[place], distances.topics
    others = [(value, topics[i]) for i, value in enumerate(values) if i != place and value is not None]
    distance, nearest = min(others, default=(None, None))
    return TopicNeighbour(topics[place], nearest, distance, values[place])
