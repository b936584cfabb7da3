"""Layers, orders and topic maps of a routing table whose numbers can be worked out by hand."""

import numpy as np
import pytest

from analysis.errors import InputError, WithheldError
from analysis.routing.picture import effective_experts, moved_share, order_by_topic, order_by_value, topic_maps
from analysis.routing.table import RoutingTable, favoured_label

GROUPS = ("all", "harmful", "benign", "topic:art", "topic:art/harmful", "topic:sea", "topic:sea/harmful")


def table(groups: tuple[str, ...] = GROUPS, experts: int = 4) -> RoutingTable:
    """Two layers, top-1; group g's frequency of expert e in layer l is 100 l + 10 g + e, in thousandths."""
    values = np.fromfunction(
        lambda w, g, la, e: (100 * la + 10 * g + e) / 1000, (3, len(groups), 2, experts), dtype=np.float64
    ).astype(np.float32)
    return RoutingTable((0, 3), experts, 1, groups, values, values / 2)


def test_a_difference_is_one_group_less_the_other() -> None:
    np.testing.assert_allclose(table().cells("frequency", "topic:sea", minus="topic:art"), 0.02, atol=1e-6)
    np.testing.assert_allclose(table().cells("probability", "harmful", minus="all"), 0.005, atol=1e-6)
    np.testing.assert_allclose(table().cells("lift", "harmful", minus="all"), 0.04, atol=1e-6)


def test_a_difference_of_a_difference_is_refused() -> None:
    with pytest.raises(InputError, match="'difference' of one group less another does not exist"):
        table().cells("difference", "all", minus="harmful")


def test_an_unknown_group_to_subtract_is_named() -> None:
    with pytest.raises(InputError, match="unknown group 'topic:war'") as caught:
        table().cells("frequency", "all", minus="topic:war")
    assert caught.value.field == "minus"


@pytest.mark.parametrize(
    ("group", "minus", "label"),
    [
        ("harmful", "benign", "harmful"),
        ("benign", "harmful", "benign"),
        ("topic:art/harmful", "topic:art/benign", "harmful"),
        ("topic:art/harmful", "topic:sea/benign", None),
        ("topic:art", "topic:sea", None),
        ("harmful", "all", None),
    ],
)
def test_a_sign_means_a_label_only_where_nothing_else_differs(group: str, minus: str, label: str | None) -> None:
    assert favoured_label(group, minus) == label


def test_even_use_has_as_many_effective_experts_as_there_are() -> None:
    cells = np.array([[0.5, 0.5, 0.5, 0.5], [2.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(effective_experts(cells), [4, 1, 2])


def test_a_layer_that_was_not_seen_has_no_effective_experts() -> None:
    cells = np.array([[np.nan, np.nan], [1.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(effective_experts(cells), [np.nan, 2])


def test_what_moves_is_half_of_what_differs() -> None:
    """Of two selections a token, one of ten moves from expert 0 to expert 1."""
    difference = np.array([[-0.2, 0.2, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(moved_share(difference, 2.0), [0.1])


def test_experts_stand_by_their_topic_and_in_it_by_lift() -> None:
    found = table(("topic:art", "topic:sea"))
    art = np.array([[0.9, 0.1, 0.2, 0.5]] * 2, dtype=np.float32)
    sea = np.array([[0.1, 0.3, 0.8, 0.4]] * 2, dtype=np.float32)
    found.frequency[0, 0], found.frequency[0, 1] = art, sea
    # art has experts 0 (0.9) and 3 (0.5), sea has 2 (0.8) and 1 (0.3)
    assert order_by_topic(found).tolist() == [[0, 3, 2, 1]] * 2


def test_an_order_by_topic_needs_two_topics() -> None:
    with pytest.raises(WithheldError):
        order_by_topic(table(("all", "topic:art")))


def test_experts_without_a_value_stand_last_in_their_own_order() -> None:
    values = np.array([[np.nan, 0.1, np.nan, 0.7]])
    assert order_by_value(values).tolist() == [[3, 1, 0, 2]]


def test_each_topic_has_the_cells_of_its_group() -> None:
    maps = topic_maps(table(), "frequency", "prompt")
    assert (maps.topics, maps.block) == (("art", "sea"), 1)
    np.testing.assert_array_equal(maps.values[1], table().cells("frequency", "topic:sea"))


def test_a_label_narrows_every_topic() -> None:
    maps = topic_maps(table(), "frequency", "prompt", label="harmful")
    np.testing.assert_array_equal(maps.values[0], table().cells("frequency", "topic:art/harmful"))


def test_neighbouring_experts_share_a_column_by_the_largest_of_them() -> None:
    """2 topics × 2 layers × 5 experts are 20 cells: at most 12 takes pairs, the last column of one expert alone."""
    maps = topic_maps(table(experts=5), "frequency", "prompt", most=12)
    assert maps.block == 2
    cells = table(experts=5).cells("frequency", "topic:art")
    np.testing.assert_array_equal(maps.values[0], np.stack([cells[:, 1], cells[:, 3], cells[:, 4]], axis=1))


def test_of_a_difference_the_farthest_from_zero_stands_for_its_neighbours() -> None:
    found = table(("all", "topic:art", "topic:sea"))
    found.frequency[:] = 0
    found.frequency[0, 1, 0] = [0.1, -0.4, 0.0, 0.3]
    maps = topic_maps(found, "frequency", "prompt", minus="all", most=8)
    np.testing.assert_allclose(maps.values[0, 0], [-0.4, 0.3])


def test_topic_maps_say_why_there_are_none() -> None:
    with pytest.raises(WithheldError, match="name no topics"):
        topic_maps(table(("all",)), "frequency", "prompt")
