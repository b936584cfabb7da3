"""One selection for every view of a run: it stands in the address, lights up everywhere, and Back takes it back."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Product

RINGS = "plot => (plot.layout.shapes || []).filter(shape => shape.name === 'lit').length"
CHOSEN = "plot => plot._fullData.map(trace => trace.selectedpoints).flat().filter(point => point !== undefined).length"


def select(page: Page, *places: str) -> None:
    expect(page.locator("#selection-bar")).to_be_attached()
    page.evaluate("places => window.expertscope.select(places)", [*places])


def test_an_expert_selected_in_the_heatmap_is_selected_in_every_view(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    heatmap = page.locator("#routing-heatmap .js-plotly-plot")
    expect(heatmap.locator(".heatmaplayer image")).to_have_count(1)
    cells = heatmap.evaluate("plot => [plot._fullData[0].z.length, plot._fullData[0].z[0].length]")
    area = page.locator("#routing-heatmap .nsewdrag").first
    box = area.bounding_box()
    assert box is not None
    area.click(position={"x": 3.5 * box["width"] / cells[1], "y": 2.5 * box["height"] / cells[0]})
    expect(page).to_have_url(re.compile(r"sel=2\.3"))
    expect(page.get_by_role("dialog")).to_contain_text("L2·E3")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    bar = page.get_by_role("region", name="Selection")
    expect(bar).to_contain_text("L2·E3")
    assert heatmap.evaluate(RINGS) > 0
    page.get_by_role("navigation", name="Views of this run").get_by_role("link", name="Topics").click()
    expect(page.get_by_role("region", name="Selection")).to_contain_text("L2·E3")
    expect(page).to_have_url(re.compile(r"/topics\?sel=2\.3"))
    scatter = page.locator(".js-plotly-plot").last
    expect(scatter.locator(".main-svg").first).to_be_attached()
    page.wait_for_function(f"() => ({CHOSEN})([...document.querySelectorAll('.js-plotly-plot')].at(-1)) === 1")


def test_back_and_forward_walk_through_selections(page: Page, product: Product) -> None:
    page.goto(product.tab("/topics"))
    select(page, "0.1")
    select(page, "0.1", "2.10")
    bar = page.get_by_role("region", name="Selection")
    expect(bar).to_contain_text("L2·E10")
    page.go_back()
    expect(bar).to_contain_text("L0·E1")
    expect(bar).not_to_contain_text("L2·E10")
    page.go_back()
    expect(page.locator("#selection-bar")).to_be_hidden()
    page.go_forward()
    expect(bar).to_contain_text("L0·E1")
    expect(page).to_have_url(re.compile(r"sel=0\.1$"))


def test_a_colleague_sees_the_same_selection(page: Page, product: Product, browser: Browser) -> None:
    page.goto(product.tab("/topics"))
    select(page, "0.1", "1.7")
    page.evaluate("window.expertscope.selection.set({topic: 'banking', label: 'harmful'})")
    colleague = browser.new_context()
    try:
        fresh = colleague.new_page()
        fresh.goto(page.url)
        bar = fresh.get_by_role("region", name="Selection")
        for word in ("L0·E1", "L1·E7", "banking", "harmful"):
            expect(bar).to_contain_text(word)
    finally:
        colleague.close()


def test_the_bar_lets_go_of_one_thing_or_of_all(page: Page, product: Product) -> None:
    page.goto(product.tab("/topics?sel=0.1,1.7&topic=banking"))
    page.get_by_role("button", name="Deselect L1·E7").click()
    expect(page).to_have_url(re.compile(r"sel=0\.1&topic=banking"))
    page.get_by_role("button", name="Clear the selection").click()
    expect(page.locator("#selection-bar")).to_be_hidden()
    expect(page).to_have_url(product.tab("/topics"))


def test_selected_experts_can_be_masked(page: Page, product: Product) -> None:
    page.goto(product.tab("/topics?sel=0.1,1.7"))
    page.get_by_role("region", name="Selection").get_by_role("link", name="Mask them").click()
    expect(page.get_by_role("heading", name="New run")).to_be_visible()
    expect(page).to_have_url(re.compile("kind=mask"))
    expect(page.locator("#new-experts")).to_have_value("0:1, 1:7")


def test_a_selection_made_of_nonsense_selects_nothing(page: Page, product: Product) -> None:
    page.goto(product.tab("/topics?sel=x,1.,<b>,9&label=evil"))
    expect(page.locator("#content h1").first).to_be_visible()
    expect(page.get_by_role("region", name="Selection")).not_to_contain_text("L")
