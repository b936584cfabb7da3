"""What surrounds every page: theme, navigation, links that can be passed on, files that are refused in words."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product, Watch
from tests.tiny_models import save_tiny_model

WHITE = "rgb(255, 255, 255)"


def surface(page: Page, selector: str) -> str:
    colour: str = page.locator(selector).first.evaluate("element => getComputedStyle(element).backgroundColor")
    return colour


def test_the_theme_follows_the_system_and_the_toggle(page: Page, product: Product) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(product.tab("/experts"))
    grid = "#experts-table .ag-root-wrapper"
    expect(page.locator(grid)).to_be_visible()
    assert surface(page, grid) == surface(page, ".header") == WHITE
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html[data-mantine-color-scheme=dark]")).to_have_count(1)
    assert surface(page, grid) == surface(page, ".header") != WHITE
    page.reload()
    expect(page.locator("html[data-mantine-color-scheme=dark]")).to_have_count(1)


def test_navigation_changes_title_and_current_entry_without_a_reload(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/")
    expect(page.locator(".main-nav [aria-current=page]")).to_have_text("Runs")
    page.locator("html").evaluate("html => html.dataset.same = 'document'")
    page.get_by_role("link", name="Models").click()
    expect(page).to_have_title("Models · ExpertScope")
    expect(page.locator(".main-nav [aria-current=page]")).to_have_text("Models")
    page.get_by_role("link", name="Prompt sets").click()
    expect(page.locator(".main-nav [aria-current=page]")).to_have_text("Prompt sets")
    page.go_back()
    expect(page).to_have_title("Models · ExpertScope")
    expect(page.locator("html[data-same=document]")).to_have_count(1)


def test_copy_link_copies_the_view(page: Page, product: Product) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(product.tab("/routing?quantity=lift"))
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#notice")).to_have_text("Link copied")
    copied = page.locator("html").evaluate("() => navigator.clipboard.readText()")
    assert copied == product.tab("/routing?quantity=lift")


def test_an_address_without_a_page_says_so(page: Page, product: Product, watched: Watch) -> None:
    answer = page.goto(f"{product.url}/ui/nope")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    page.get_by_role("link", name="All runs").click()
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    assert all("404" in error for error in watched.errors)
    watched.errors.clear()


@pytest.mark.parametrize(
    ("name", "data"),
    [("empty.csv", b""), ("noise.csv", bytes(range(256)) * 16), ("huge.csv", b"prompt\n" + b"a" * 5_000_000)],
)
def test_a_file_that_cannot_be_used_is_refused_by_the_field(
    page: Page, product: Product, tmp_path: Path, name: str, data: bytes
) -> None:
    before = product.api("/prompt-sets").json()["count"]
    page.goto(f"{product.url}/ui/runs/new")
    (tmp_path / name).write_bytes(data)
    page.locator(".drop input[type=file]").set_input_files(tmp_path / name)
    expect(page.locator("#new-faults .field-error")).to_contain_text(name)
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    assert product.api("/prompt-sets").json()["count"] == before


@pytest.mark.parametrize(
    ("folder", "message"),
    [("empty", "has no config.json"), ("missing", "does not exist"), ("dense", "LlamaForCausalLM is a dense model")],
)
def test_a_model_that_cannot_be_used_is_refused_by_the_field(
    page: Page, product: Product, tmp_path: Path, folder: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    save_tiny_model("llama", tmp_path / "dense")
    before = product.api("/models").json()["count"]
    page.goto(f"{product.url}/ui/models")
    page.get_by_role("textbox", name="Folder or hub id").fill(str(tmp_path / folder))
    page.get_by_role("button", name="Inspect", exact=True).click()
    expect(page.locator("#register-found .field-error")).to_contain_text(message)
    expect(page.get_by_role("button", name="Register", exact=True)).to_be_hidden()
    assert product.api("/models").json()["count"] == before


def test_a_run_can_be_cancelled_and_offers_to_go_on(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/runs/new?preset=full&model={product.run['model']['id']}")
    expect(page.locator("#new-preview table")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="This run was cancelled")).to_be_visible(timeout=90_000)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
