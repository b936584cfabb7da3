"""Small parts: what they say to those who do not see them, and what they leave unsaid."""

import json

from dash.development.base_component import Component
from plotly.utils import PlotlyJSONEncoder

from app.components import certificate_badge, cover, info, ladder, ladder_list, status
from app.quantities import QUANTITIES

CERTIFICATE = {
    "passed": True,
    "layers_expected": 4,
    "layers_seen": 4,
    "assignments_expected": 61440,
    "assignments_seen": 61440,
}


def text(component: Component) -> str:
    return json.dumps(component, cls=PlotlyJSONEncoder, ensure_ascii=False)


def test_the_ladder_has_six_steps_and_fills_the_ones_passed() -> None:
    glyph = ladder({"correlated": False, "causal": True, "selective": True, "replicated": True}, flagged=True)
    assert [step.className for step in glyph.children] == ["step"] * 3 + ["step passed"] * 3
    assert glyph.className == "ladder flagged-ladder"
    assert '"aria-label": "Evidence 3 of 6: causal, selective, replicated"' in text(glyph)


def test_the_ladder_in_words_says_of_each_step_whether_it_was_passed() -> None:
    words = text(ladder_list({"causal": True}))
    assert words.count('"passed"') == 2  # the class of the step and the words for screen readers
    assert words.count("not passed") == 5


def test_a_badge_of_a_failed_capture_does_not_look_like_the_other() -> None:
    good = certificate_badge(CERTIFICATE, "/x")
    bad = certificate_badge({**CERTIFICATE, "passed": False, "assignments_seen": 61000}, "/x")
    assert "Capture exact" in text(good)
    assert "Capture failed" in text(bad)
    assert good.className != bad.className
    assert "61\u202f000 of 61\u202f440 selections" in text(bad)


def test_a_tip_is_read_out_whole() -> None:
    shown = text(info("lift"))
    quantity = QUANTITIES["lift"]
    assert f"{quantity.name}: {quantity.sentence} {quantity.formula}" in shown
    assert quantity.source in shown


def test_a_covered_text_is_not_in_the_page() -> None:
    shown = text(cover("r1", "h7"))
    assert "Show prompt and answers of h7" in shown
    assert "request" not in shown


def test_a_status_is_a_glyph_and_a_word() -> None:
    shown = text(status("failed"))
    assert "icon-cross" in shown
    assert "Failed" in shown
