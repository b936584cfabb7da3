"""Each topic's nearest one, as a person would read it off the matrix."""

from backend.services import TopicDistances, nearest_topics


def distances(values: list) -> TopicDistances:
    names = ["art", "banking", "cooking", "dance"][: len(values)]
    return TopicDistances(
        "benign", None, [], names, values, [[1] * len(values)] * len(values), list(range(len(values)))
    )


def test_the_least_distance_to_another_topic_counts() -> None:
    found = nearest_topics(distances([[0.01, 0.3, 0.2], [0.3, 0.05, 0.4], [0.2, 0.4, None]]))
    assert [(one.topic, one.nearest, one.distance, one.within) for one in found] == [
        ("art", "cooking", 0.2, 0.01),
        ("cooking", "art", 0.2, None),
        ("banking", "art", 0.3, 0.05),
    ]


def test_a_topic_without_a_pair_stands_last_and_has_no_neighbour() -> None:
    found = nearest_topics(distances([[None, None, None], [None, 0.1, 0.4], [None, 0.4, 0.2]]))
    assert [one.topic for one in found] == ["banking", "cooking", "art"]
    assert (found[-1].nearest, found[-1].distance, found[-1].within) == (None, None, None)


def test_no_topics_are_no_neighbours() -> None:
    assert nearest_topics(distances([])) == []
