"""Ctrl+K leads anywhere by a few letters and without a mouse."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Product


def test_a_few_letters_lead_to_a_page(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/runs")
    expect(page.locator("#content h1").first).to_be_visible()
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search")
    expect(box).to_be_focused()
    page.keyboard.type("judg")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{product.url}/ui/judges")
    expect(page.get_by_role("dialog", name="Search")).to_be_hidden()


def test_an_expert_is_found_by_its_name_and_arrow_keys_choose(page: Page, product: Product) -> None:
    page.goto(product.tab())
    expect(page.locator("#content h1").first).to_be_visible()
    page.get_by_role("button", name="Search").click()
    page.keyboard.type("L1 E7")
    expect(page.get_by_role("option").first).to_contain_text("L1·E7")
    page.keyboard.press("Enter")
    expect(page).to_have_url(product.tab("/experts/1/7"))
    page.keyboard.press("Control+k")
    page.keyboard.type("o")
    chosen = page.locator("[role=option][aria-selected=true]")
    first = chosen.inner_text()
    page.keyboard.press("ArrowDown")
    assert chosen.inner_text() != first
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Search")).to_be_hidden()


def test_a_word_that_nothing_has_says_so(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/runs")
    expect(page.locator("#content h1").first).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("zzzz")
    expect(page.get_by_text("Nothing has that name.")).to_be_visible()
