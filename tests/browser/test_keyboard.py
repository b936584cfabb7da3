"""From the list of runs to the exported report and a new run, by keys alone."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Product
from tests.browser.test_accessibility import settle

FAR = 120


def go_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    expect(target).to_be_visible()
    for _ in range(FAR):
        if target.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} has no focus after {FAR} times Tab")


def open_by_key(page: Page, target: Locator) -> None:
    go_to(page, target)
    page.keyboard.press("Enter")


def test_a_finding_is_read_and_its_report_saved(page: Page, product: Product) -> None:
    """The run, the heatmap's strongest cell as a table, the flagged expert, the tokens and the report."""
    page.goto(f"{product.url}/ui/runs")
    settle(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    open_by_key(page, page.locator("table.runs").get_by_role("link", name=product.run["name"]).first)
    expect(page.locator("nav a.run-tab").first).to_be_visible()
    settle(page)

    open_by_key(page, page.locator("a.run-tab", has_text="Routing"))
    expect(page.locator("#routing-heatmap .main-svg").first).to_be_visible()
    page.keyboard.press("t")
    expect(page.locator("#routing-table")).to_be_visible()
    page.keyboard.press("t")
    expect(page.locator("#routing-heatmap")).to_be_visible()

    open_by_key(page, page.locator("a.run-tab", has_text="Experts"))
    grid = page.locator("#experts-table")
    name = grid.locator("a.row-link").first.inner_text()
    go_to(page, grid.locator(".ag-header-cell").first)
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    expect(page.locator("#selection-bar")).to_contain_text(name)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".breadcrumbs li").last).to_have_text(name)

    open_by_key(page, page.locator("a.run-tab", has_text="Report"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    link = page.locator("#content a[href*='report.json']").first
    go_to(page, link)
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename.endswith(".json")


def test_a_run_is_started_and_cancelled(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/runs/new")
    settle(page)
    go_to(page, page.locator("[aria-labelledby=new-preset-label] input:checked"))
    page.keyboard.press("ArrowRight")
    open_by_key(page, page.locator("#new-start:enabled"))
    cancel = page.get_by_role("button", name="Cancel")
    open_by_key(page, cancel.first)
    expect(page.get_by_role("heading", name="This run was cancelled")).to_be_visible(timeout=120_000)
