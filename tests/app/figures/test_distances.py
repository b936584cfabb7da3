"""Two dots over two bands: each number stands where it belongs, in the colour of its group."""

from app.figures import GroupMark, distance_strip
from app.figures.template import BENIGN, HARMFUL

MARKS = [GroupMark("harmful", 0.2, 0.05, 0.1, 0.3), GroupMark("benign", 0.25, 0.04, 0.12, 0.22)]


def test_a_dot_for_each_group_in_its_colour() -> None:
    chart = distance_strip(MARKS)
    assert [(dot.x[0], dot.y[0], dot.marker.color) for dot in chart.data] == [
        (0.2, "to harmful prompts", HARMFUL),
        (0.25, "to benign prompts", BENIGN),
    ]
    assert [dot.text[0] for dot in chart.data] == ["0.200", "0.250"]


def test_the_band_holds_the_groups_own_prompts_and_the_tick_their_median() -> None:
    band, tick, other, _ = distance_strip(MARKS).layout.shapes
    assert (band.x0, band.x1, tick.x0, other.x0, other.x1) == (0.05, 0.3, 0.1, 0.04, 0.22)


def test_everything_is_inside_the_axis() -> None:
    low, high = distance_strip(MARKS).layout.xaxis.range
    assert low == 0
    assert high > 0.3
