"""Everybody can use every page: axe finds nothing, the keyboard reaches everything, a phone is wide enough."""

from collections.abc import Iterator

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.addresses import every_page
from tests.browser.conftest import Product
from tests.browser.keyboard import keyboard_faults


def settle(page: Page) -> None:
    expect(page.locator("#content h1").first).to_be_visible()
    expect(page.locator("#content[data-dash-is-loading=true]")).to_have_count(0)
    expect(page.locator("#content .button[data-dash-is-loading=true]")).to_have_count(0)
    for graph in page.locator(".dash-graph:visible").all():
        expect(graph.locator(".main-svg").first).to_be_attached()
    # A grid attaches its header cells first and fills them in a later frame; an empty header is no page to judge.
    expect(page.locator(".ag-header-cell-text:visible:empty")).to_have_count(0)
    for grid in page.locator(".ag-root-wrapper:visible").all():
        expect(grid.locator(".ag-header-cell").first).to_be_visible()
        expect(grid.locator(".ag-header-cell:not(:has(.ag-header-cell-text))")).to_have_count(0)


# axe leaves the words of a drawing alone, so their contrast with the page is worked out here (WCAG 2, 1.4.3).
FAINT_WORDS = """() => {
  const shine = (colour) => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
    const linear = parts.map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const page = shine(getComputedStyle(document.body).backgroundColor);
  const faint = [];
  for (const word of document.querySelectorAll(".js-plotly-plot .main-svg text")) {
    if (!word.textContent.trim() || !word.getClientRects().length) continue;
    const ink = shine(getComputedStyle(word).fill);
    const contrast = (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
    if (contrast < 4.5) faint.push(`${word.textContent} ${contrast.toFixed(1)}`);
  }
  return faint;
}"""


def violations(page: Page) -> list[tuple[str, list[str]]]:
    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found]


def charts_without_numbers(page: Page) -> list[str]:
    """Charts whose table is missing or empty, where the page has no grid with the same numbers."""
    missing = []
    for box in page.locator(".graph-box:visible").all():
        button = box.locator("button[data-chart=table]")
        if button.count():
            button.evaluate("button => button.click()")  # a drawer may lie over it
            table = box.locator("table[role=grid]")
            if table.locator("tbody tr").count() == 0 or "NaN" in table.inner_text():
                missing.append(f"{box.get_attribute('aria-label')}: empty")
            button.evaluate("button => button.click()")
        elif page.locator("#routing-numbers").count() == 0:
            missing.append(f"{box.get_attribute('aria-label')}: none")
    return missing


def visit(page: Page, product: Product, theme: str) -> Iterator[str]:
    """Opens each page in the theme, says its name, and looks whether it was drawn in it."""
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    for name, address in every_page(product).items():
        page.goto(address)
        settle(page)
        expect(page.locator(f"html[data-mantine-color-scheme={theme}]")).to_have_count(1)
        yield name


def test_every_page_can_be_used_by_everyone(page: Page, product: Product) -> None:
    """Axe finds nothing, the words of charts stand out, every chart has its numbers, and Tab goes everywhere."""
    words, found = 0, {}
    for name in visit(page, product, "light"):
        words += page.locator(".js-plotly-plot .main-svg text").count()
        faults = [*violations(page), *page.evaluate(FAINT_WORDS), *charts_without_numbers(page)]
        found[name] = [*faults, *keyboard_faults(page)]
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert words > 100


def test_every_page_can_be_used_in_the_dark_and_on_a_phone(page: Page, product: Product) -> None:
    """Axe finds nothing and the words of charts stand out; on a screen of 390 pixels nothing is wider than that."""
    found = {}
    for name in visit(page, product, "dark"):
        found[name] = [*violations(page), *page.evaluate(FAINT_WORDS)]
        page.set_viewport_size({"width": 390, "height": 844})
        if (width := page.locator("html").evaluate("html => html.scrollWidth")) > 390:
            found[name].append(f"{width} pixels wide")
        page.set_viewport_size({"width": 1280, "height": 900})
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_the_keyboard_alone_opens_an_expert(page: Page, product: Product) -> None:
    page.goto(product.tab("/experts"))
    link = page.locator("#experts-table a.row-link").first
    expect(link).to_be_visible()
    name = link.inner_text()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.locator("#experts-table .ag-header-cell").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".breadcrumbs li").last).to_have_text(name)


def test_a_tip_opens_on_focus(page: Page, product: Product) -> None:
    page.goto(product.tab("/topics"))
    tip = page.get_by_role("button", name="Topic ratio ρ: Safety divergence over topic divergence").first
    tip.focus()
    expect(page.get_by_role("tooltip").filter(has_text="ρ = JSD(safety) / JSD(topic)")).to_be_visible()
