"""One prompt in a real browser: a harmful toy prompt is refused, a benign one is not, and the address keeps it."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Product


def prompts(product: Product) -> dict[str, str]:
    rows = product.api(f"/prompt-sets/{product.run['prompt_set']['id']}/prompts?limit=10").json()["items"]
    return {label: next(row["text"] for row in rows if row["label"] == label) for label in ("harmful", "benign")}


def test_a_harmful_prompt_is_refused_and_a_benign_one_is_not(page: Page, product: Product) -> None:
    asked = prompts(product)
    page.goto(f"{product.url}/ui/playground?model={product.run['model']['id']}")
    box = page.get_by_label("Prompt", exact=True)
    expect(page.get_by_role("button", name="Ask")).to_be_disabled()

    box.fill(asked["harmful"])
    box.press("Control+Enter")
    expect(page.locator("#playground-finding")).to_contain_text("Refused")
    expect(page.get_by_role("status").filter(has_text="Answered: refused.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]q=[0-9a-z]{12}"))
    refused = page.url
    expect(page.locator("#playground-result")).not_to_contain_text(asked["harmful"])

    box.fill(asked["benign"])
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#playground-finding")).to_contain_text("Complied")

    page.goto(refused)
    expect(page.locator("#playground-finding")).to_contain_text("Refused")
    page.get_by_role("button", name="Show prompt and answer").click()
    expect(page.locator("#playground-texts")).to_contain_text(asked["harmful"])
    expect(page.locator("#playground-texts mark")).to_be_visible()
    expect(page.locator(".pg-token").first).to_be_visible()
    page.get_by_text("Answer", exact=True).first.click()
    expect(page.locator("#playground-routing")).to_contain_text("all tokens that the model generated")

    page.get_by_role("button", name="Delete this question").click()
    expect(page.locator("#playground-status")).to_have_text("Deleted: prompt, answer and all.")
    expect(page).not_to_have_url(re.compile(r"[?&]q="))


def test_a_prompt_that_is_too_long_cannot_be_asked(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/playground")
    page.get_by_label("Prompt", exact=True).fill("x" * 20_003)
    expect(page.locator("#playground-count")).to_contain_text("3 too many, shorten it")
    expect(page.get_by_role("button", name="Ask")).to_be_disabled()
