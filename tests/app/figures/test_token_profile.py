"""The small bars over the columns of tokens."""

from app.figures import token_profile

SERIES = [("h1", "#D55E00", [0.1, 0.2, 0.3]), ("b1", "#0072B2", [0.0, 0.1, 0.2])]


def test_each_prompt_has_its_bar_in_every_layer() -> None:
    chart = token_profile([1, 4, 7], SERIES, None, "weight")
    assert [(bar.name, list(bar.x), list(bar.y)) for bar in chart.data] == [
        ("h1", ["1", "4", "7"], [0.1, 0.2, 0.3]),
        ("b1", ["1", "4", "7"], [0.0, 0.1, 0.2]),
    ]
    assert {opacity for bar in chart.data for opacity in bar.marker.opacity} == {1}


def test_a_chosen_layer_stands_out() -> None:
    assert list(token_profile([1, 4, 7], SERIES, 4, "weight").data[0].marker.opacity) == [0.35, 1, 0.35]
