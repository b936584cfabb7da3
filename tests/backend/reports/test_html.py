"""report.html: everything in one page, and nothing that could run or call out."""

import html.parser
import re

import pytest

from analysis.result import AuditResult
from backend.reports import render_html
from tests.backend.factories import make_prompts, make_result

ATTACK = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"


class Page(html.parser.HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def render(result: AuditResult) -> Page:
    return Page(render_html(result.report, result.routing))


def test_the_verdict_is_the_headline() -> None:
    text = render(make_result()).text
    assert "2 experts carry refusal." in text
    for heading in ("Headline numbers", "Flagged experts", "Topic against safety", "What this does not show"):
        assert heading in text


def test_headline_numbers_stand_with_their_intervals() -> None:
    result = make_result()
    result.report["outcomes"]["refusal_harmful"] = {"estimate": 0.72, "low": 0.68, "high": 0.75, "n": 6}
    text = render(result).text
    assert "72 % [68, 75]" in text
    assert "0.24 [0.19, 0.29]" in text


def test_flagged_experts_show_all_six_rungs() -> None:
    page = render(make_result())
    assert "L2·E5" in page.text
    ladders = [attributes for tag, attributes in page.tags if attributes.get("class") == "ladder"]
    assert ladders[0]["aria-label"] == "level 6 of 6"


def test_a_verdict_without_experts_says_how_hard_was_looked() -> None:
    text = render(make_result(flagged=())).text
    assert "No expert passed the three causal rungs of the ladder. 24 experts were ablated alone." in text


def test_what_was_withheld_is_told_with_its_reason() -> None:
    text = render(make_result()).text
    assert re.search(r"Withheld: outcomes\.judge_agreement\. one judge was asked\.", text)


def test_stable_experts_stand_beside_what_chance_would_give() -> None:
    result = make_result()
    result.report["stability"] = {
        "threshold": 0.8, "resamples": 100, "unit": "topic", "selected": 4, "passed": 5, "expected_false": 0.83
    }  # fmt: skip
    assert "5 are stable" in render(result).text
    assert "at most 0.83 are expected by chance" in render(result).text
    assert "are stable" not in render(make_result()).text, "a report of an earlier version has no such section"


def test_the_page_needs_nothing_from_anywhere() -> None:
    page = render(make_result())
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "form", "base")
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:image/png;base64,")
    policies = [a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_hostile_names_stay_text() -> None:
    result = make_result(make_prompts(ATTACK))
    report = result.report
    report["model"] |= {"ref": ATTACK, "revision": ATTACK}
    report["verdict"] |= {"sentence": ATTACK, "power": ATTACK}
    report["prompts"]["topics"] = [ATTACK]
    report["settings"][ATTACK] = {ATTACK: [ATTACK]}
    report["withheld"] = [{"what": ATTACK, "why": ATTACK}]
    report["experts"][0]["how"] = ATTACK
    report["experts"][0]["scores"][ATTACK] = 1.0
    for expert in report["experts"][1:]:
        expert["scores"][ATTACK] = None
    page = render(result)
    assert not [tag for tag, attributes in page.tags if tag == "script" or "onerror" in attributes]
    assert page.text.count("alert('x')") >= 10
    assert "49" not in page.text.split("Settings")[1].split("Software")[0]


@pytest.mark.parametrize("missing", ["masked", "margins", "jsd"])
def test_a_report_with_withheld_parts_can_be_drawn(missing: str) -> None:
    result = make_result()
    report = result.report
    nothing = {"estimate": None, "low": None, "high": None, "n": 0}
    if missing == "masked":
        report["outcomes"]["masked"] = None
    elif missing == "margins":
        report["outcomes"] |= {"margin_harmful": None, "margin_benign": None}
        for expert in report["experts"]:
            expert |= {"effect": None, "q_value": None}
    else:
        report["routing"]["topic_ratio"] = nothing
        for row in report["routing"]["per_layer"]:
            row |= dict.fromkeys(("topic", "within_topic", "safety", "topic_ratio"), nothing)
    assert "–" in render(result).text


def test_the_page_is_light() -> None:
    result = make_result()
    assert len(render_html(result.report, result.routing)) < 100_000


def test_criteria_that_are_not_shown_are_named_below_the_table() -> None:
    text = render(make_result()).text
    assert "and the scores by gatebreaker" in text
    older = make_result()
    del older.report["criteria"]
    assert "and the scores by" not in render(older).text


def test_refusal_of_jailbreaks_is_a_line_where_there_are_any() -> None:
    result = make_result()
    assert "Refusal of jailbreaks" not in render(result).text
    result.report["outcomes"]["refusal_jailbreak"] = {"estimate": 0.25, "low": 0.1, "high": 0.5, "n": 8}
    assert "Refusal of jailbreaks25 % [10, 50]" in render(result).text
