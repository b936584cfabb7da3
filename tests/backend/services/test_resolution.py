"""What a run of a given size can resolve."""

import pytest

from analysis.errors import InputError
from backend.services import resolution


def test_half_widths_are_those_of_the_prompts_that_the_preset_uses() -> None:
    # Wilson's half-width of an even rate is 1.959964 / (2 √(n + 3.841459))
    for preset, used in (("quick", 60), ("standard", 300), ("full", 900)):
        found = resolution(900, 12, preset)
        assert found is not None
        assert found.harmful == used
        assert found.half_width == pytest.approx(1.959964 / (2 * (used + 3.841459) ** 0.5), abs=1e-6)
        assert found.alike is not None
        assert found.alike > found.half_width


def test_few_topics_have_no_interval_over_topics() -> None:
    found = resolution(100, 4, "standard")
    assert found is not None
    assert found.alike is None


def test_nothing_is_resolved_without_harmful_prompts() -> None:
    assert resolution(0, 12, "standard") is None


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(InputError, match="unknown preset"):
        resolution(10, 4, "huge")
