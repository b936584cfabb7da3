"""Topics that are routed alike stand side by side."""

import numpy as np

from analysis.routing.topic_order import order_topics

NEAR, FAR = 0.01, 0.5


def test_topics_that_are_alike_stand_together() -> None:
    values = [[0, FAR, NEAR, FAR], [FAR, 0, FAR, NEAR], [NEAR, FAR, 0, FAR], [FAR, NEAR, FAR, None]]
    order = order_topics(values)
    assert sorted(order) == [0, 1, 2, 3]
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({0, 2}), frozenset({1, 3})}


def test_topics_along_a_line_stay_in_line() -> None:
    places = np.array([3.0, 0.0, 5.0, 1.0, 2.0, 4.0])
    order = order_topics(np.abs(places[:, None] - places).tolist())
    assert [places[i] for i in order] in (sorted(places), sorted(places, reverse=True))


def test_two_topics_or_none_stay_as_they_are() -> None:
    assert order_topics([]) == []
    assert order_topics([[None, 0.2], [0.2, 0.1]]) == [0, 1]
