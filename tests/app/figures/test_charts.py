"""The other charts: each draws the numbers of the report, and says where there are none."""

from itertools import pairwise

from app.figures import divergence_by_layer, dose_curve, effect_against_null, lift_bars, profile, ratio_by_layer
from app.figures.effect import heights
from app.figures.template import HARMFUL, NEUTRAL, TOPIC


def interval(estimate: float | None, half: float | None = 0.01) -> dict:
    known = estimate is not None and half is not None
    low, high = (estimate - half, estimate + half) if known else (None, None)
    return {"estimate": estimate, "low": low, "high": high, "n": 12}


def layer(index: int, topic: float, safety: float, ratio: float | None) -> dict:
    return {
        "layer": index,
        "topic": interval(topic),
        "safety": interval(safety),
        "within_topic": interval(0.05),
        "topic_ratio": interval(ratio),
    }


PER_LAYER = [layer(1, 0.2, 0.06, 0.3), layer(5, 0.3, 0.05, None)]


def line(chart, name: str):
    return next(trace for trace in chart.data if trace.name == name)


def test_each_contrast_is_a_line_in_its_own_colour() -> None:
    chart = divergence_by_layer(PER_LAYER)
    assert (list(line(chart, "topic").x), list(line(chart, "topic").y)) == ([1, 5], [0.2, 0.3])
    assert list(line(chart, "safety").y) == [0.06, 0.05]
    assert line(chart, "topic").line.color == TOPIC
    assert line(chart, "safety").line.color == HARMFUL


def test_a_band_goes_up_along_the_high_ends_and_back_along_the_low_ones() -> None:
    band = divergence_by_layer(PER_LAYER).data[0]
    assert list(band.x) == [1, 5, 5, 1]
    assert [round(y, 6) for y in band.y] == [0.21, 0.31, 0.29, 0.19]


def test_a_layer_without_an_interval_has_no_band_and_keeps_its_dot() -> None:
    rows = [{**PER_LAYER[0], "topic": interval(0.2, None)}, PER_LAYER[1]]
    chart = divergence_by_layer(rows)
    assert list(chart.data[0].x) == [5, 5]
    assert list(line(chart, "topic").y) == [0.2, 0.3]


def test_lines_are_named_where_they_end_and_names_never_overlap() -> None:
    rows = [layer(1, 0.2, 0.2, 1.0)]
    shown = divergence_by_layer(rows).layout.annotations
    assert ["within topic" in a.text or "topic" in a.text or "safety" in a.text for a in shown] == [True, True, True]
    heights = sorted(a.y for a in shown)
    assert min(high - low for low, high in pairwise(heights)) > 0.01


def test_a_layer_without_a_ratio_is_left_out_of_its_chart() -> None:
    dots = ratio_by_layer(PER_LAYER).data[0]
    assert (list(dots.x), list(dots.y)) == ([1], [0.3])
    assert [round(v, 6) for v in (*dots.error_y.array, *dots.error_y.arrayminus)] == [0.01, 0.01]


def test_the_profile_shows_topic_and_safety_only() -> None:
    assert [trace.name for trace in profile(PER_LAYER).data if trace.name] == ["topic", "safety"]


def test_charts_without_layers_are_empty_and_not_broken() -> None:
    for make in (divergence_by_layer, ratio_by_layer, profile):
        assert all(len(trace.x) == 0 for trace in make([]).data)


def test_the_null_is_a_band_of_two_standard_deviations() -> None:
    chart = effect_against_null(interval(1.5, 0.05), {"mean": 0.1, "sd": 0.2, "n": 100}, flagged=False)
    band = chart.layout.shapes[1]
    assert (round(band.x0, 6), round(band.x1, 6)) == (-0.3, 0.5)
    dot = chart.data[0]
    assert (list(dot.x), dot.marker.color) == ([1.5], NEUTRAL)
    assert round(dot.error_x.array[0], 6) == 0.05


def test_a_null_that_is_known_one_by_one_is_a_dot_for_each() -> None:
    null = {"mean": 0.1, "sd": 0.2, "n": 4, "values": [0.0, 0.001, 0.3, -0.2]}
    nulls, dot = effect_against_null(interval(1.5, 0.05), null, flagged=True).data
    assert list(nulls.x) == null["values"]
    assert len(set(zip([round(x, 2) for x in nulls.x], nulls.y, strict=True))) == 4, "no dot hides another"
    assert list(dot.x) == [1.5]
    assert [shape.type for shape in effect_against_null(interval(1.5), null, flagged=True).layout.shapes] == ["line"]


def test_a_stack_of_dots_never_grows_out_of_the_picture() -> None:
    assert heights([0.5] * 300, (0.0, 1.0)).max() <= 1.5


def test_an_effect_without_a_null_has_no_band() -> None:
    shapes = effect_against_null(interval(1.5, None), None, flagged=True).layout.shapes
    assert [shape.type for shape in shapes] == ["line"]


def test_bars_are_ordered_with_the_most_used_topic_on_top() -> None:
    bars = lift_bars(["art", "banking", "travel"], [0.5, 2.0, 1.0]).data[0]
    assert list(bars.y) == ["art", "travel", "banking"]  # Plotly draws the last one uppermost
    assert list(bars.x) == [0.5, 1.0, 2.0]


def dose(size: int, margin: float, null: int = 20) -> dict:
    band = {"mean": 0.2, "low": 0.1, "high": 0.4, "n": null} if null else dict.fromkeys(("mean", "low", "high"))
    band = {"n": 0, **band}
    return {"size": size, "margin": interval(margin, 0.5), "refusal": interval(0.9), "null": band, "null_refusal": band}


def test_a_dose_curve_stands_over_its_band() -> None:
    band, mean, curve = dose_curve([dose(1, 1.0), dose(2, 3.0)]).data
    assert list(band.x) == ["1", "2", "2", "1"]
    assert list(band.y) == [0.4, 0.4, 0.1, 0.1]
    assert list(mean.y) == [0.2, 0.2]
    assert mean.meta == {"low": [0.1, 0.1], "high": [0.4, 0.4]}, "the band's numbers, for the chart's table"
    assert (list(curve.x), list(curve.y)) == (["1", "2"], [1.0, 3.0])
    assert list(curve.error_y.array) == [0.5, 0.5]
    assert list(dose_curve([dose(1, 1.0)], key="refusal", unit="of refusal").data[2].y) == [0.9]


def test_a_size_without_random_sets_has_a_dot_and_no_band() -> None:
    band, _, curve = dose_curve([dose(1, 1.0, null=0), dose(2, 3.0)]).data
    assert list(band.x) == ["2", "2"]
    assert list(curve.x) == ["1", "2"]


def test_charts_by_layer_say_where_a_layer_is_marked() -> None:
    assert divergence_by_layer(PER_LAYER).layout.meta["layer_axes"] == ["x"]
    assert ratio_by_layer(PER_LAYER).layout.meta["layers"] == [1, 5]
