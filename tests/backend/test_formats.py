"""Numbers as people read them. Every expected text is written by hand."""

from datetime import UTC, datetime

import pytest

from backend import formats


def between(estimate: float, low: float | None, high: float | None) -> dict[str, float | None]:
    return {"estimate": estimate, "low": low, "high": high, "n": 12}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.24444, "0.244"),
        (0.01, "0.01"),
        (-1.2345, "−1.23"),
        (3.1, "3.1"),
        (26.137, "26.1"),
        (1234.5, "1\u202f234"),
        (0.0000000361, "3.61 × 10⁻⁸"),
        (-0.00002, "−2.00 × 10⁻⁵"),
        (None, "—"),
        (float("nan"), "—"),
        (float("inf"), "—"),
    ],
)
def test_a_number_has_at_most_three_figures(value: float | None, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (between(0.24, 0.19, 0.30), "0.24 [0.19, 0.30]"),
        (between(0.010324, 0.009386, 0.011369), "0.0103 [0.0094, 0.0114]"),
        (between(26.47, 26.29, 26.63), "26.5 [26.3, 26.6]"),
        (between(-0.001, -0.06, 0.05), "0.00 [−0.06, 0.05]"),
        (between(5.0, 5.0, 5.0), "5.00 [5.00, 5.00]"),
        (between(0.0, 0.0, 0.0), "0 [0, 0]"),
        (between(1.5, None, None), "1.5"),
        (None, "—"),
        ({"estimate": None, "low": None, "high": None, "n": 0}, "—"),
    ],
)
def test_an_interval_follows_its_estimate_with_as_many_decimals(interval: dict | None, text: str) -> None:
    assert str(formats.interval(interval)) == text


def test_an_interval_names_its_unit_once() -> None:
    assert str(formats.interval(between(3.1, 3.05, 3.15), "nats")) == "3.10 nats [3.05, 3.15]"


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (between(0.72, 0.68, 0.75), "72 % [68, 75]"),
        (between(1.0, 0.9398, 1.0), "100 % [94, 100]"),
        (between(0.999948, 0.999941, 0.999955), "100 % [100, 100]"),
        (between(0.005, 0.001, 0.009), "0.5 % [0.1, 0.9]"),
        (between(0.074, None, None), "7.4 %"),
        (None, "—"),
    ],
)
def test_a_rate_is_shown_in_percent(interval: dict | None, text: str) -> None:
    assert str(formats.rate(interval)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.4, "0 s"), (8, "8 s"), (60, "1 min"), (200, "3 min 20 s"), (725, "12 min"), (3900, "1 h 5 min"), (None, "—")],
)
def test_a_duration_is_in_words_of_its_size(value: float | None, text: str) -> None:
    assert formats.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"), (112, "112th")],
)
def test_a_rank_is_an_ordinal(value: int, text: str) -> None:
    assert formats.ordinal(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.00001, "< 0.0001"), (0.0099, "0.0099"), (0.048, "0.048"), (None, "—")])
def test_a_p_value_never_becomes_zero(value: float | None, text: str) -> None:
    assert formats.p_value(value) == text


def test_a_plural_follows_its_number() -> None:
    assert [formats.plural(n, "prompt") for n in (0, 1, 1200)] == ["0 prompts", "1 prompt", "1\u202f200 prompts"]


def test_a_time_of_another_year_shows_the_year() -> None:
    assert formats.moment(datetime(2001, 3, 5, 12, tzinfo=UTC)) == "5 Mar 2001"
    assert formats.moment(None) == "—"


def test_a_jailbreak_is_named_beside_its_label() -> None:
    assert formats.prompt_label("harmful", "jailbreak") == "harmful, jailbreak"
    assert formats.prompt_label("benign", "regular") == "benign"
    assert formats.prompt_label(None, "regular") == formats.NONE


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (123_456, "123 kB"), (2_540_000_000, "2.54 GB")]
)
def test_sizes_are_said_in_powers_of_a_thousand(value: int, text: str) -> None:
    assert formats.size(value) == text


@pytest.mark.parametrize(
    ("numbers", "text"), [([0, 1, 2, 3], "0–3"), ([0, 1, 5], "0, 1, 5"), ([1, 3, 4, 5, 9], "1, 3–5, 9"), ([], "")]
)
def test_runs_of_numbers_are_drawn_together(numbers: list[int], text: str) -> None:
    assert formats.spans(numbers) == text


def test_points_are_whole_with_their_interval_and_a_real_minus() -> None:
    assert formats.points({"estimate": 0.718, "low": 0.68, "high": 0.75}) == "72 [68, 75] %"
    assert formats.points({"estimate": -0.13, "low": -0.2, "high": -0.06}, "pt") == "−13 [−20, −6] pt"
    assert formats.points({"estimate": 0.5, "low": None, "high": None}) == "50 %"
    assert formats.points({"estimate": None, "low": None, "high": None}) == formats.points(None) == "—"
