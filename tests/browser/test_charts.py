"""Every chart gives its numbers as a table that the keyboard walks through, and a file for a paper."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product
from tests.browser.test_accessibility import settle


def test_a_chart_table_says_what_the_report_says(page: Page, product: Product) -> None:
    per_layer = product.api(f"/runs/{product.run['id']}/topics").json()["items"]
    page.goto(product.tab("/topics"))
    settle(page)
    box = page.get_by_role("figure", name="Topic, safety and within-topic divergence by layer").first
    box.get_by_role("button", name="Table:").click()
    for row in per_layer:
        cells = box.locator("tbody tr", has_text="topic").nth(row["layer"]).locator("th, td")
        shown = [text.replace("−", "-") for text in cells.all_inner_texts()]
        assert shown[:2] == ["topic", str(row["layer"])]
        for text, end in zip(shown[2:], ("estimate", "low", "high"), strict=True):
            assert float(text) == pytest.approx(row["topic"][end], rel=6e-3)


def test_a_chart_table_has_one_stop_and_arrow_keys(page: Page, product: Product) -> None:
    page.goto(product.tab("/topics"))
    settle(page)
    box = page.locator(".graph-box").first
    button = box.get_by_role("button", name="Table:")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert box.locator("table [tabindex='0']").count() == 1
    box.locator("table [tabindex='0']").focus()
    first = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.cellIndex") == 1
    page.keyboard.press("Control+Home")
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 0
    page.keyboard.press("Control+End")
    assert page.evaluate("document.activeElement.textContent") != first
    assert box.locator("table [tabindex='0']").count() == 1


def test_enter_in_the_table_of_experts_selects_one(page: Page, product: Product) -> None:
    page.goto(product.tab("/topics"))
    settle(page)
    box = page.get_by_role("figure", name="Each expert's use explained")
    box.get_by_role("button", name="Table:").click()
    row = box.locator("tbody tr").first
    place = row.get_attribute("data-place")
    assert place
    row.locator("th").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Selection")).to_contain_text("L" + place.replace(".", "·E"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chart_is_saved_with_title_caption_and_origin(
    page: Page, product: Product, tmp_path: Path, theme: str
) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto(product.tab("/topics"))
    settle(page)
    box = page.locator(".graph-box").first
    with page.expect_download() as saved:
        box.get_by_role("button", name="Save as SVG:").click()
    saved.value.save_as(tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "Divergence by layer" in text
    assert "95 % intervals" in text
    assert product.run["id"] in text
    assert "var(--" not in text
    with page.expect_download() as picture:
        box.get_by_role("button", name="Save as PNG:").click()
    picture.value.save_as(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
