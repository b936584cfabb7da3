"""A run leaves as an archive, comes back on the page of all runs, and is deleted after a question."""

import re
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product, Watch


@pytest.fixture(scope="module")
def archive(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "archive.zip"
    answer = httpx.get(f"{product.url}/api/v1/runs/{product.run['id']}/archive.zip", timeout=60)
    path.write_bytes(answer.raise_for_status().content)
    return path


def bring_back(page: Page, product: Product, path: Path) -> None:
    page.goto(f"{product.url}/ui/runs")
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Import", exact=True).click()
    chosen.value.set_files(path)


def test_an_archive_comes_back_and_the_copy_is_deleted(page: Page, product: Product, archive: Path) -> None:
    bring_back(page, product, archive)
    page.wait_for_url(re.compile(r"/ui/runs/[^/]+$"))
    copy = page.url.rsplit("/", 1)[1]
    assert copy != product.run["id"]
    expect(page.locator("h1").first).to_be_visible()
    delete = page.get_by_role("button", name="Delete", exact=True)
    delete.click()
    asked = page.get_by_role("dialog", name="Delete this run?")
    expect(asked).to_contain_text(product.run["name"])
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(500)
        assert [one["id"] for one in Axe().run(page).response["violations"]] == []
    page.keyboard.press("Escape")
    expect(asked).to_be_hidden()
    expect(delete).to_be_focused()
    page.keyboard.press("Enter")
    asked.get_by_role("button", name="Keep it").click()
    expect(asked).to_be_hidden()
    assert httpx.get(f"{product.url}/api/v1/runs/{copy}").status_code == 200
    delete.click()
    asked.get_by_role("button", name="Delete for good").click()
    page.wait_for_url(f"{product.url}/ui/runs")
    expect(page.locator("#notice")).to_contain_text("The run is deleted")
    assert httpx.get(f"{product.url}/api/v1/runs/{copy}").status_code == 404
    assert httpx.get(f"{product.url}/api/v1/runs/{product.run['id']}").status_code == 200


def test_a_file_that_is_no_archive_is_refused_by_name(
    page: Page, product: Product, watched: Watch, tmp_path: Path
) -> None:
    other = tmp_path / "holiday.zip"
    other.write_bytes(b"not an archive at all")
    page.goto(f"{product.url}/ui/runs")
    before = httpx.get(f"{product.url}/api/v1/runs").json()["count"]
    bring_back(page, product, other)
    expect(page.locator("#import-fault")).to_contain_text("holiday.zip was not imported")
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_enabled()
    assert httpx.get(f"{product.url}/api/v1/runs").json()["count"] == before
    assert len(watched.errors) == 1, "the browser writes down the refusal itself, and nothing else"
    assert "status of 422" in watched.errors.pop()
