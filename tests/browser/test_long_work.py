"""A run that takes long is told of when it ends, and a page outlives a silent server."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Product, Watch


def begin(product: Product) -> str:
    asked = {"model": product.run["model"]["id"], "prompt_set_id": product.run["prompt_set"]["id"], "preset": "quick"}
    run_id: str = product.post("/runs", {**asked, "kind": "audit", "seed": 7})["id"]
    return run_id


def test_a_run_is_told_of_wherever_somebody_is_when_it_ends(page: Page, product: Product) -> None:
    run_id = begin(product)
    page.goto(f"{product.url}/ui/runs/{run_id}")
    expect(page.locator("[data-watch]")).to_be_visible()
    page.wait_for_timeout(4_000)  # the page is looked at for a moment
    page.get_by_role("link", name="Models").click()
    expect(page).to_have_title("Models · ExpertScope")
    product.post(f"/runs/{run_id}/cancel", {})
    told = page.locator("#run-ended")
    expect(told).to_contain_text("was cancelled", timeout=90_000)
    told.get_by_role("link").click()
    expect(page.get_by_role("heading", name="This run was cancelled")).to_be_visible()


def test_a_page_outlives_a_silent_server(page: Page, product: Product, watched: Watch) -> None:
    run_id = begin(product)
    page.goto(f"{product.url}/ui/runs/{run_id}")
    expect(page.locator("[data-watch]")).to_be_visible()
    page.context.set_offline(True)
    silence = page.locator("#server-silent")
    expect(silence).to_contain_text("The server does not answer")
    page.context.set_offline(False)
    expect(silence).to_be_empty()
    product.post(f"/runs/{run_id}/cancel", {})
    expect(page.get_by_role("heading", name="This run was cancelled")).to_be_visible(timeout=90_000)
    watched.errors.clear()  # the browser itself writes down every request that was not answered
