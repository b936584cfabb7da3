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
    assert "—" in render(result).text


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


def test_the_dose_curve_is_drawn_beside_its_numbers() -> None:
    result = make_result()
    page = render(result)
    assert "Masking more and more experts" in page.text
    doses = result.report["interventions"]["dose"]
    assert len([tag for tag, _ in page.tags if tag == "circle"]) == len(doses)
    assert "0.20 [0.05, 0.50]" in page.text
    result.report["interventions"] = None
    assert "Masking more and more experts" not in render(result).text
    del result.report["interventions"]
    assert "Masking more and more experts" not in render(result).text, "an older report has no such section"


RARE = [
    {"layer": 1, "expert": 3, "load": 0.045, "prompts": 7, "margin": -24.6, "refusal": -0.99, "alarm": True},
    {"layer": 0, "expert": 2, "load": 0.05, "prompts": 6, "margin": 0.0, "refusal": -1e-8, "alarm": False},
]


def test_rare_experts_stand_in_a_table_alarms_first() -> None:
    result = make_result()
    assert "Rare experts" not in render(result).text
    result.report["rare"] = RARE
    text = render(result).text
    assert "Rare experts: an alarm" in text
    assert "L1·E3 (alarm)4.5 %7−24.6−99 %" in text
    assert "L0·E25.0 %600.0 %" in text
    result.report["rare"] = RARE[1:]
    assert "Rare experts: an alarm" not in render(result).text


def test_caveats_stand_below_the_headline() -> None:
    result = make_result()
    caveat = "Topic and harm cannot be told apart: no topic has both."
    result.report["verdict"] |= {"sentence": f"2 experts carry refusal. {caveat}", "caveats": [caveat]}
    text = render_html(result.report, result.routing)
    assert "<h1>2 experts carry refusal.</h1>" in text
    assert f'<p class="caveat">{caveat}</p>' in text


def test_every_row_of_a_table_has_the_columns_of_its_head() -> None:
    """A cell too many moves every number behind it under another heading."""
    result = make_result()
    result.report["rare"] = RARE
    tables: list[list[int]] = []
    for tag, _ in render(result).tags:
        if tag == "table":
            tables.append([])
        elif tag == "tr" and tables:
            tables[-1].append(0)
        elif tag in ("td", "th"):
            tables[-1][-1] += 1
    assert len(tables) >= 6
    for rows in tables:
        assert len({*rows}) == 1, rows
