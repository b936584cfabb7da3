"""Five questions of somebody who has never read the papers, each answered from a run's page in at most five steps.

A step is a click or the choice of something in a list. Every answer is held against the report.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Product

MOST = 5


@dataclass
class Newcomer:
    """Counts what somebody does on the way to an answer."""

    page: Page
    steps: list[str] = field(default_factory=list)

    def click(self, what: Locator) -> None:
        self.steps.append(f"click {what}")
        what.first.click()

    def tab(self, name: str) -> None:
        self.click(
            self.page.get_by_role("navigation", name="Views of this run").get_by_role("link", name=name, exact=True)
        )


@pytest.fixture
def newcomer(page: Page, product: Product) -> Newcomer:
    page.goto(product.tab())
    expect(page.locator("#content h1").first).to_be_visible()
    return Newcomer(page)


@pytest.fixture
def report(product: Product) -> dict[str, Any]:
    found: dict[str, Any] = product.api(f"/runs/{product.run['id']}/report.json").json()
    return found


def test_the_most_topic_specific_layer(newcomer: Newcomer, report: dict[str, Any]) -> None:
    newcomer.tab("Routing")
    heading = newcomer.page.get_by_role("heading", name=re.compile(r"Layer \d+ separates topics most"))
    expect(heading).to_be_visible()
    named = int(re.findall(r"Layer (\d+)", heading.inner_text())[0])
    # Specific to topics is what lies above the distance inside a topic.
    above = {r["layer"]: r["topic"]["estimate"] - r["within_topic"]["estimate"] for r in report["routing"]["per_layer"]}
    assert named == max(above, key=lambda layer: above[layer])
    assert len(newcomer.steps) <= MOST


@pytest.mark.parametrize("layer", [0, 3])
def test_whether_topic_or_safety_drives_a_layer(newcomer: Newcomer, report: dict[str, Any], layer: int) -> None:
    newcomer.tab("Topics")
    row = newcomer.page.locator("tr", has_text=f"Layer {layer}").first
    expect(row).to_be_visible()
    ratio = next(one["topic_ratio"] for one in report["routing"]["per_layer"] if one["layer"] == layer)
    expected = "Topic" if ratio["high"] < 1 else "Safety" if ratio["low"] > 1 else "Neither"
    expect(row).to_contain_text(expected)
    assert len(newcomer.steps) <= MOST


def test_the_flagged_experts_and_the_evidence_for_one(newcomer: Newcomer, report: dict[str, Any]) -> None:
    flagged = [f"L{layer}·E{expert}" for layer, expert in report["flagged"]["experts"]]
    for name in flagged:
        expect(newcomer.page.locator(".expert-lines")).to_contain_text(name)
    newcomer.click(newcomer.page.locator(".expert-lines").get_by_role("link", name=flagged[0]))
    expect(newcomer.page.locator(".breadcrumbs li").last).to_have_text(flagged[0])
    row = next(r for r in report["experts"] if f"L{r['layer']}·E{r['expert']}" == flagged[0])
    passed = newcomer.page.locator(".rungs li.passed strong").all_inner_texts()
    assert {name.lower() for name in passed} == {name for name, held in row["evidence"].items() if held}
    expect(newcomer.page.locator("#content")).to_contain_text(f"{row['effect']['estimate']:.1f} nats")
    assert len(newcomer.steps) <= MOST


def test_base_against_hardened(page: Page, product: Product) -> None:
    tuned = product.others["tune"]
    page.goto(product.tab())
    newcomer = Newcomer(page)
    newcomer.click(page.locator("#content").get_by_role("link", name=re.compile("Tuning|tune")))
    expect(page).to_have_url(re.compile(tuned["id"]))
    document = product.api(f"/runs/{tuned['id']}/tune.json").json()
    rates = document["outcomes"]["refusal_harmful"]
    table = page.get_by_role("region", name=re.compile("Outcomes before and after"))
    for side in ("before", "after"):
        expect(table).to_contain_text(f"{100 * rates[side]['estimate']:.0f} %")
    assert len(newcomer.steps) <= MOST


def test_the_report_for_a_meeting(newcomer: Newcomer, product: Product, tmp_path: Path) -> None:
    newcomer.click(newcomer.page.locator(".run-top").get_by_role("link", name="Report"))
    expect(newcomer.page.get_by_role("heading", name="Take it to a meeting")).to_be_visible()
    with newcomer.page.expect_download() as saved:
        newcomer.click(newcomer.page.get_by_role("link", name="Download report.pdf"))
    saved.value.save_as(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert len(newcomer.steps) <= MOST
