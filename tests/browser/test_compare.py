"""Comparing two runs as a person does: choose, read, look at other cells, swap, follow a flagged expert."""

import re

import numpy as np
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product

CELLS = "plot => plot._fullData[0].z.map(row => Array.from(row))"


def test_two_audits_are_chosen_read_and_swapped(page: Page, product: Product) -> None:
    first, second = product.run, product.second_audit
    page.goto(product.tab())
    page.locator("#content").get_by_role("link", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Compare two audits")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"/ui/compare\?a={first['id']}$"))
    expect(page.locator("#nav-compare")).to_have_attribute("aria-current", "page")

    page.get_by_role("textbox", name="B, after").fill("few")
    page.get_by_role("option", name=second["name"]).click()
    expect(page).to_have_url(re.compile(rf"a={first['id']}&b={second['id']}"))
    expect(page.get_by_role("heading", level=2, name="What differs between them")).to_be_visible()

    compared = product.api(f"/runs/{first['id']}/compare/{second['id']}").json()
    for sentence in compared["changed"]:
        expect(page.locator(".verdict-line")).to_contain_text(sentence.rstrip("."))
    settings = page.get_by_role("row").filter(has_text=re.compile(r"Settings\s*seed"))
    expect(settings.get_by_role("cell")).to_have_text(["Settings", "seed", "0", "1"])

    for part, places in (("Only A", "only_a"), ("Both", "both"), ("Only B", "only_b")):
        expect(page.get_by_role("heading", name=f"{part}, {len(compared['flagged'][places])}")).to_be_visible()

    page.get_by_role("link", name="Swap").click()
    expect(page).to_have_url(re.compile(rf"a={second['id']}&b={first['id']}"))
    expect(settings.get_by_role("cell")).to_have_text(["Settings", "seed", "1", "0"])


def test_the_heatmap_shows_the_cells_of_the_api_and_the_address_remembers_them(page: Page, product: Product) -> None:
    pair = (product.run["id"], product.second_audit["id"])
    page.goto(f"{product.url}/ui/compare?a={pair[0]}&b={pair[1]}")
    page.get_by_role("textbox", name="Quantity").click()
    page.get_by_role("option", name="Router probability").click()
    page.get_by_role("textbox", name="Tokens").click()
    page.get_by_role("option", name="Boundary tokens").click()
    expect(page.locator("#compare-caption")).to_contain_text("the last token before the answer begins")
    expect(page).to_have_url(re.compile(r"quantity=probability&window=boundary"))
    page.reload()
    expect(page.locator("#compare-caption")).to_contain_text("the last token before the answer begins")
    picture = page.locator("#compare-heatmap .js-plotly-plot")
    expect(picture.locator(".heatmaplayer image")).to_have_count(1)
    query = "quantity=probability&window=boundary"
    values = product.api(f"/runs/{pair[0]}/compare/{pair[1]}/heatmap?{query}").json()["values"]
    np.testing.assert_allclose(np.array(picture.evaluate(CELLS)), np.array(values), atol=1e-7)


def test_a_tuning_leads_to_its_own_page(page: Page, product: Product) -> None:
    tuning = product.others["tune"]
    page.goto(f"{product.url}/ui/compare?a={product.run['id']}&b={tuning['id']}")
    expect(page.get_by_role("heading", level=1, name="These two cannot be compared")).to_be_visible()
    page.get_by_role("listitem").filter(has_text="before and after on its own page").get_by_role("link").click()
    expect(page).to_have_url(f"{product.url}/ui/runs/{tuning['id']}")
