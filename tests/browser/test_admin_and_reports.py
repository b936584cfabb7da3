"""What is taken to a meeting, what comes out of a printer, and what whoever runs the installation looks at."""

import re
from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product

CLEAR = "rgba(0, 0, 0, 0)"


def save(page: Page, name: str) -> Path:
    with page.expect_download() as downloading:
        page.get_by_role("link", name=f"Download {name}").click()
    return Path(downloading.value.path())


def test_the_pdf_is_drawn_told_and_saved(page: Page, product: Product) -> None:
    """One page in front, and the rest behind it."""
    page.goto(product.tab("/report"))
    expect(page.get_by_role("region", name="The first page of the report")).to_contain_text("6 Doubt")
    told = page.locator("#report-pdf-size")
    expect(told).to_have_text(re.compile(r"^\d+ pages, [\d.]+ kB$"), timeout=120_000)
    assert int(told.inner_text().split()[0]) >= 2
    assert save(page, "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_workbook_has_every_expert(page: Page, product: Product, tmp_path: Path) -> None:
    page.goto(product.tab("/report"))
    saved = save(page, "experts.xlsx").rename(tmp_path / "experts.xlsx")
    book = load_workbook(saved)
    assert book.sheetnames == ["Experts", "About"]
    assert book["Experts"].max_row == 1 + product.api(f"/runs/{product.run['id']}/experts").json()["count"]


def test_a_run_of_another_kind_has_its_own_files(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/runs/{product.others['mask']['id']}/report")
    assert save(page, "mask.json").stat().st_size > 0
    expect(page.get_by_role("link", name="Download report.pdf")).to_have_count(0)


@pytest.mark.parametrize("path", ["", "/routing", "/experts", "/report"])
def test_a_printed_page_is_black_on_white_without_controls(page: Page, product: Product, path: str) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(product.tab(path))
    expect(page.locator("html[data-mantine-color-scheme=dark]")).to_have_count(1)
    expect(page.locator("#content h1").first).to_be_visible()
    for hidden in (".header", ".run-tabs", "#copy-link", ".breadcrumbs"):
        expect(page.locator(hidden).first).to_be_hidden()
    style = "element => [getComputedStyle(element).color, getComputedStyle(element).backgroundColor]"
    assert page.locator("#content h1").first.evaluate(style) == ["rgb(0, 0, 0)", CLEAR]
    assert page.locator("body").evaluate(style) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]


def test_covered_texts_stay_covered_on_paper(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/judges?show=sample&run={product.run['id']}")
    expect(page.locator("#review-card")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".review-answer")).to_have_count(0)
    expect(page.locator(".review-show")).to_be_hidden()


def test_admin_says_that_everything_runs(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/runs")
    page.get_by_role("link", name="Admin").click()
    expect(page).to_have_title("Admin · ExpertScope")
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything is running")
    expect(page.locator("#nav-admin")).to_have_attribute("aria-current", "page")
    as_of = page.get_by_text(re.compile(r"^As of \d\d:\d\d:\d\d"))
    before = as_of.inner_text()
    expect(as_of).not_to_have_text(before, timeout=30_000)
    page.get_by_text("All settings").click()
    expect(page.get_by_role("cell", name="EXPERTSCOPE_WORKER_STALE_SECONDS")).to_be_visible()


def test_a_queue_is_watched_and_cancelled_from_the_list(page: Page, product: Product) -> None:
    """The second run waits behind the first; cancelling it leaves the list where it is."""
    body = {"model": product.run["model"]["id"], "prompt_set_id": product.run["prompt_set"]["id"], "preset": "full"}
    first, second = (product.post("/runs", {**body, "seed": seed}) for seed in (11, 12))
    page.goto(f"{product.url}/ui/runs?kind=audit")
    page.locator("html").evaluate("html => html.dataset.same = 'document'")
    row = page.locator("tr", has=page.locator(f"a[href$='{second['id']}']"))
    expect(row.locator(".run-live")).to_have_text("Next in the queue")
    running = page.locator("tr", has=page.locator(f"a[href$='{first['id']}']")).locator(".run-live")
    expect(running.get_by_role("progressbar")).to_be_visible()
    row.get_by_role("button", name=re.compile("^Cancel")).focus()
    page.keyboard.press("Enter")
    expect(row.locator(".status")).to_have_text("Cancelled")
    product.post(f"/runs/{first['id']}/cancel", {})
    expect(page.locator(".status-running")).to_have_count(0, timeout=90_000)
    expect(page.locator("html[data-same=document]")).to_have_count(1)


def test_the_list_is_searched_and_remembers_it(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/runs")
    search = page.get_by_role("textbox", name="Search runs by name, model or prompts")
    search.fill("no such run")
    expect(page.get_by_role("heading", name="No run matches")).to_be_visible()
    expect(page).to_have_url(re.compile(r"search=no\+such\+run"))
    expect(search).to_be_focused()
    search.fill("planted")
    expect(page.get_by_role("link", name=product.run["name"]).last).to_be_visible()
    page.reload()
    expect(search).to_have_value("planted")
