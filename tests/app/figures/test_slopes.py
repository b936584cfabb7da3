"""The slope chart: one panel an outcome, all on one axis in percent, with the intervals as they are."""

import pytest

from app.figures import Slope, slopes

A = {"estimate": 0.9, "low": 0.8, "high": 0.95, "n": 40}
B = {"estimate": 0.5, "low": 0.4, "high": 0.6, "n": 40}
UNSURE = {"estimate": 0.5, "low": None, "high": None, "n": 2}


def test_a_line_goes_from_a_to_b_in_percent_with_both_intervals() -> None:
    (line,) = slopes([Slope("Refuses<br>harmful", A, B, "−40 pt", "#D55E00")]).data
    assert (list(line.x), list(line.y)) == (["A", "B"], [90, 50])
    assert list(line.error_y.array) == pytest.approx([5, 10])
    assert list(line.error_y.arrayminus) == pytest.approx([10, 10])
    assert line.name == "Refuses harmful"


def test_every_panel_has_its_name_its_change_and_the_same_axis() -> None:
    chart = slopes([Slope(name, A, B, change, "#767E8C") for name, change in (("one", "+1 pt"), ("two", "0 pt"))])
    assert [one.text for one in chart.layout.annotations] == ["one", "two"]
    assert (chart.layout.xaxis.title.text, chart.layout.xaxis2.title.text) == ("+1 pt", "0 pt")
    assert tuple(chart.layout.yaxis.range) == tuple(chart.layout.yaxis2.range) == (-4, 104)


def test_an_end_without_an_interval_has_no_bar() -> None:
    (line,) = slopes([Slope("one", A, UNSURE, "", "#767E8C")]).data
    assert list(line.error_y.array) == pytest.approx([5, 0])
