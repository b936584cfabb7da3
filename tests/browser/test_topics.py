"""The topics page in a browser: one layer marked everywhere, topics by click, experts by brush and by keyboard."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Product

MARKED = (
    "[...document.querySelectorAll('.js-plotly-plot')]"
    ".map((plot) => (plot.layout.shapes || []).filter((shape) => shape.name === 'layer').length)"
)
"""How many bands each chart of the page has."""


def opened(page: Page, product: Product, query: str = "") -> None:
    page.goto(product.tab(f"/topics{query}"))
    expect(page.locator("#topics-matrix .nsewdrag")).to_be_attached()
    expect(page.locator("#explained .nsewdrag")).to_be_attached()


def flagged(product: Product) -> list[list[int]]:
    found: list[list[int]] = product.api(f"/runs/{product.run['id']}/report.json").json()["flagged"]["experts"]
    return found


def area(part: Locator) -> dict[str, float]:
    part.scroll_into_view_if_needed()
    box: Any = part.bounding_box()
    return box


def test_a_layer_is_marked_in_every_chart_and_table(page: Page, product: Product) -> None:
    opened(page, product)
    expect(page.get_by_role("heading", name=re.compile("Topic drives"))).to_be_visible()
    page.get_by_role("button", name="Layer 2", exact=True).first.click()
    expect(page).to_have_url(re.compile(r"layer=2"))
    expect(page.locator("tr.lit[data-layer='2']")).to_have_count(2)
    expect(page.locator("#topics-caption")).to_contain_text("layer 2")
    page.wait_for_function(f"JSON.stringify({MARKED}) === '[1,1,5,5,0,0]'")
    page.go_back()
    expect(page).not_to_have_url(re.compile("layer="))
    expect(page.locator("tr.lit[data-layer]")).to_have_count(0)
    page.wait_for_function(f"JSON.stringify({MARKED}) === '[0,0,0,0,0,0]'")


def test_an_address_with_a_layer_opens_with_it_marked(page: Page, product: Product) -> None:
    opened(page, product, "?layer=1")
    expect(page.locator("tr.lit[data-layer='1']")).to_have_count(2)
    expect(page.get_by_role("button", name="Layer 1", exact=True).first).to_have_attribute("aria-pressed", "true")
    page.wait_for_function(f"JSON.stringify({MARKED}) === '[1,1,5,5,0,0]'")


def test_a_click_on_the_matrix_selects_a_topic_and_so_does_its_button(page: Page, product: Product) -> None:
    opened(page, product)
    box = area(page.locator("#topics-matrix .nsewdrag"))
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    expect(page).to_have_url(re.compile(r"topic=\w+"))
    expect(page.locator("#selection-bar .topic")).to_be_visible()
    button = page.locator("#topics-neighbours button[data-select='topic:banking']").first
    button.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("topic=banking"))
    expect(button).to_have_attribute("aria-pressed", "true")


def test_a_brush_selects_experts_and_other_views_keep_them(page: Page, product: Product) -> None:
    opened(page, product)
    box = area(page.locator("#explained .nsewdrag"))
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 1, steps=8)
    page.mouse.up()
    expect(page).to_have_url(re.compile("sel="))
    layer, expert = flagged(product)[0]
    assert f"{layer}.{expert}" in page.url
    expect(page.locator("#selection-bar")).to_contain_text("more")
    page.get_by_role("navigation", name="Views of this run").get_by_role("link", name="Experts").click()
    expect(page).to_have_url(re.compile(rf"/experts\?.*{layer}\.{expert}"))
    expect(page.locator("#selection-bar")).to_contain_text("more")


def test_the_table_of_the_scatter_selects_by_keyboard(page: Page, product: Product) -> None:
    opened(page, product)
    part = page.locator("#explained")
    part.locator("button[data-chart=table]").click()
    layer, expert = flagged(product)[0]
    row = part.locator(f".graph-table tr[data-place='{layer}.{expert}']")
    row.locator("th").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"sel={layer}\.{expert}$"))
    expect(row).to_have_class(re.compile("lit"))


def test_tables_of_charts_have_names_and_intervals(page: Page, product: Product) -> None:
    opened(page, product)
    for part, heads in (
        (page.locator("#layers .graph-box").nth(0), ["Contrast", "layer", "JSD (0–1)", "low", "high"]),
        (page.locator("#layers .graph-box").nth(1), ["layer", "ρ", "low", "high"]),
        (page.locator("#contrasts .graph-box").nth(0), ["Contrast", "layer", "JSD (0–1)", "low", "high"]),
    ):
        part.locator("button[data-chart=table]").click()
        expect(part.locator("thead th")).to_have_text(heads)
        expect(part.locator("tbody tr").first.locator("td").last).to_have_text(re.compile(r"^[\d.,]"))


def test_the_contents_move_to_a_part_without_leaving_the_page(page: Page, product: Product) -> None:
    opened(page, product)
    page.get_by_role("link", name="Which experts", exact=True).click()
    expect(page.locator("#explained")).to_be_focused()
    expect(page.locator("#explained")).to_be_in_viewport()
    expect(page).not_to_have_url(re.compile("#"))
