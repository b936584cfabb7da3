"""The tokens page in a browser: covered until a click, moved through with the arrow keys, remembered by its address."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product


@pytest.fixture
def pair(product: Product) -> dict[str, dict[str, Any]]:
    """A harmful prompt with its benign partner, as the API lists them."""
    listed = product.api(f"/runs/{product.run['id']}/tokens").json()["items"]
    harmful = next(one for one in listed if one["label"] == "harmful" and one["pair_id"])
    benign = next(one for one in listed if one["label"] == "benign" and one["pair_id"] == harmful["pair_id"])
    return {"harmful": harmful, "benign": benign}


def trace(product: Product, prompt_id: str, **query: Any) -> dict[str, Any]:
    words = "&".join(f"{name}={value}" for name, value in {"texts": "true", **query}.items())
    found: dict[str, Any] = product.api(f"/runs/{product.run['id']}/tokens/{prompt_id}?{words}").json()
    return found


def opened(page: Page, product: Product, query: str) -> None:
    """The page at an address, uncovered."""
    page.goto(product.tab(f"/tokens?{query}"))
    page.get_by_role("button", name="Show the texts").click()
    expect(page.locator("button.tok").first).to_be_visible()


def test_nothing_is_readable_before_a_click_and_both_prompts_are_after(
    page: Page, product: Product, pair: dict[str, dict[str, Any]]
) -> None:
    answers: list[str] = []
    page.on("response", lambda one: answers.append(one.text()) if "_dash-update-component" in one.url else None)
    page.goto(product.tab(f"/tokens?prompt={pair['harmful']['prompt_id']}"))
    expect(page.locator(".token-cover")).to_have_count(2)
    words = [text.strip() for text in trace(product, pair["harmful"]["prompt_id"])["tokens"] if len(text.strip()) > 6]
    assert words
    assert not [word for word in words if f'"{word}"' in "".join(answers) or f"␣{word}" in "".join(answers)]
    page.get_by_role("button", name="Show the texts").click()
    expect(page.locator(".token-column")).to_have_count(2)
    for column, one in enumerate(pair.values()):
        chips = page.locator(".token-column").nth(column).locator("button.tok")
        expected = [text.replace(" ", "␣").replace("\n", "⏎") for text in trace(product, one["prompt_id"])["tokens"]]
        expect(chips).to_have_count(len(expected))
        assert chips.all_text_contents() == expected
    page.get_by_role("button", name="Cover the texts").click()
    expect(page.locator("button.tok")).to_have_count(0)


def test_the_layer_slider_changes_the_underlines_and_the_address(
    page: Page, product: Product, pair: dict[str, dict[str, Any]]
) -> None:
    harmful = pair["harmful"]["prompt_id"]
    layer, expert = product.api(f"/runs/{product.run['id']}/report.json").json()["flagged"]["experts"][0]
    opened(page, product, f"prompt={harmful}&by=expert&sel={layer}.{expert}")
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(1 + product.run["model"]["description"]["moe_layers"].index(layer)):
        page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(rf"layer={layer}\b"))
    expect(page.locator("#tokens-layer-name")).to_have_text(f"layer {layer}")
    one = trace(product, harmful, layer=layer)
    pairs = zip(one["ids"][0], one["weights"][0], strict=True)
    weights = [dict(zip(ids, weights, strict=True)).get(expert, 0) for ids, weights in pairs]
    chips = page.locator(".token-column").first.locator("button.tok")
    labels = chips.evaluate_all("chips => chips.map(chip => chip.getAttribute('aria-label'))")
    seen = [re.search(r"weight ([0-9.]+)$", label) for label in labels]
    assert [found and float(found[1]) for found in seen if found] == pytest.approx(
        [weight for weight, ids in zip(weights, one["ids"][0], strict=True) if ids[0] is not None], abs=6e-4
    )


def test_arrow_keys_move_from_token_to_token_and_tell_its_experts(
    page: Page, product: Product, pair: dict[str, dict[str, Any]]
) -> None:
    harmful = pair["harmful"]["prompt_id"]
    layer = product.run["model"]["description"]["moe_layers"][0]
    opened(page, product, f"prompt={harmful}&layer={layer}")
    chips = page.locator(".token-column").first.locator("button.tok")
    chips.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(chips.nth(2)).to_be_focused()
    told = page.locator("#token-detail-0")
    one = trace(product, harmful, layer=layer)
    for expert in one["ids"][0][2]:
        expect(told.get_by_role("link", name=f"L{layer}·E{expert}", exact=True)).to_be_visible()
    page.keyboard.press("End")
    expect(chips.last).to_be_focused()
    page.keyboard.press("Home")
    expect(chips.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(chips.first).not_to_be_focused()
    expect(page.locator(".token-column").first.locator("button.tok[tabindex='0']")).to_have_count(1)


def test_a_tokens_expert_leads_to_its_page(page: Page, product: Product, pair: dict[str, dict[str, Any]]) -> None:
    opened(page, product, f"prompt={pair['harmful']['prompt_id']}")
    page.locator("button.tok").nth(3).focus()
    link = page.locator("#token-detail-0").get_by_role("link").first
    name = link.inner_text()
    link.click()
    expect(page).to_have_url(re.compile(r"/experts/\d+/\d+(\?|$)"))
    expect(page.locator("h1")).to_contain_text(name)


def test_an_address_opens_the_same_look_and_stays_covered(
    page: Page, product: Product, pair: dict[str, dict[str, Any]]
) -> None:
    benign = pair["benign"]["prompt_id"]
    layer = product.run["model"]["description"]["moe_layers"][-1]
    page.goto(product.tab(f"/tokens?prompt={benign}&by=expert&sel={layer}.3&layer={layer}"))
    expect(page.locator("#tokens-layer-name")).to_have_text(f"layer {layer}")
    expect(page.locator("#tokens-expert")).to_have_value(re.compile(rf"L{layer}·E3"))
    expect(page.locator("#tokens-prompt")).to_have_value(re.compile(re.escape(benign)))
    expect(page.locator(".token-cover")).to_have_count(2)
