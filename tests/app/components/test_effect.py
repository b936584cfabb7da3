"""The strip's geometry, by hand: percent of a width that reaches from −1 to 3."""

import pytest

from app.components.effect import effect_span, effect_strip, strip_geometry

EFFECT = {"estimate": 1.0, "low": 0.0, "high": 2.0, "n": 6}
NULL = {"mean": 0.0, "sd": 0.25, "n": 100}


def test_everything_stands_where_its_number_is() -> None:
    at = strip_geometry(EFFECT, NULL, (-1.0, 3.0))
    assert at == {"dot": 50.0, "from": 25.0, "to": 75.0, "zero": 25.0, "null_from": 12.5, "null_to": 37.5}


def test_without_an_effect_there_is_a_dash() -> None:
    assert strip_geometry(None, NULL, (-1.0, 3.0)) is None
    assert effect_strip({"estimate": None}, NULL, (0.0, 1.0)).children == "—"


def test_an_effect_without_an_interval_is_a_dot_alone() -> None:
    at = strip_geometry({"estimate": 1.0, "low": None, "high": None}, None, (-1.0, 3.0))
    assert at == {"dot": 50.0, "from": None, "to": None, "zero": 25.0, "null_from": None, "null_to": None}


def test_the_strip_says_in_words_what_it_draws() -> None:
    label = effect_strip(EFFECT, NULL, (-1.0, 3.0)).to_plotly_json()["props"]["aria-label"]
    assert label == "Effect 1.0 [0.0, 2.0]; matched random experts 0 ± 0.5"


def test_the_common_span_holds_everything_and_zero() -> None:
    low, high = effect_span([EFFECT, None], [NULL, None])
    assert low < -0.5
    assert high > 2.0
    low, high = effect_span([{"estimate": 2.0, "low": 1.9, "high": 2.1}], [None])
    assert low < 0 < high


@pytest.mark.parametrize("span", [(0.0, 0.0), (1.0, 1.0)])
def test_a_span_without_length_puts_everything_in_the_middle(span: tuple) -> None:
    at = strip_geometry(EFFECT, None, span)
    assert at is not None
    assert at["dot"] == 50.0
