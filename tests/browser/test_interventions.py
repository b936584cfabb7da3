"""Answers before and masked in a browser: cells narrow the list, the run's selection too, texts wait for a click."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Product

MOVED = "harmful, refusal to compliance"


def opened(page: Page, product: Product, query: str = "") -> None:
    page.goto(product.tab(f"/interventions{query}"))
    expect(page.locator("#changes .change-table")).to_have_count(2)
    expect(page.locator("#dose .nsewdrag")).to_be_attached()


def heading(page: Page) -> str:
    return page.locator("#changes h3.row").inner_text()


def test_a_cell_narrows_the_list_by_keyboard_and_lets_go_again(page: Page, product: Product) -> None:
    opened(page, product)
    cell = page.get_by_role("button", name=re.compile(f"^{MOVED}"))
    count = int(cell.locator("strong").inner_text())
    cell.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("label=harmful.*before=refusal&after=compliance"))
    expect(page.locator("#changes h3.row")).to_contain_text(f"{count} prompts")
    expect(page.get_by_role("button", name=re.compile(f"^{MOVED}"))).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name=re.compile(f"^{MOVED}"))).to_be_focused()
    expect(page.locator("#selection-bar")).to_contain_text("harmful")
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("before="))
    expect(page.locator("#changes h3.row")).not_to_contain_text(f"{count} prompts")


def test_the_list_turns_its_pages_and_back_leads_to_the_one_before(page: Page, product: Product) -> None:
    opened(page, product)
    expect(page.locator(".pages")).to_contain_text("1 to 25 of")
    page.get_by_role("button", name="Next").click()
    expect(page).to_have_url(re.compile("page=2"))
    expect(page.locator(".pages")).to_contain_text("26 to 50 of")
    page.go_back()
    expect(page.locator(".pages")).to_contain_text("1 to 25 of")


def test_a_topic_selected_in_the_list_is_the_runs_selection(page: Page, product: Product) -> None:
    opened(page, product)
    everything = heading(page)
    page.locator("#changes button[data-select^='topic:']").first.click()
    expect(page).to_have_url(re.compile("topic="))
    expect(page.locator("#changes")).to_contain_text("Answers on the topic")
    expect(page.locator("#changes button[data-select^='topic:']").first).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#changes h3.row")).to_have_text(everything)
    expect(page.locator("#selection-bar")).to_be_hidden()


def test_a_text_comes_when_it_is_asked_for(page: Page, product: Product) -> None:
    opened(page, product)
    expect(page.locator("#changes .uncovered")).to_have_count(0)
    page.locator("#changes .covered button").first.click()
    expect(page.locator("#changes .uncovered")).to_contain_text("Flagged experts masked")


def test_the_tables_of_charts_have_their_random_sets(page: Page, product: Product) -> None:
    opened(page, product)
    dose = page.locator("#dose .graph-box")
    dose.locator("button[data-chart=table]").click()
    expect(dose.locator("thead th")).to_have_text(["Masked", "experts masked together", "loss, nats", "low", "high"])
    expect(dose.locator("tbody tr").first).to_contain_text("random sets, mean")
    left = page.locator("#flagged .graph-box").first
    left.locator("button[data-chart=table]").click()
    expect(left.locator("thead th")).to_have_text(["Series", "refusal of harmful prompts", "low", "high"])
    expect(left.locator("tbody")).to_contain_text("these experts")


def test_the_runs_made_of_the_experts_are_one_click_away(page: Page, product: Product) -> None:
    run = product.others["mask"]
    opened(page, product)
    page.locator("#runs").get_by_role("link", name=re.compile("carry refusal")).first.click()
    expect(page).to_have_url(re.compile(f"/ui/runs/{run['id']}|/ui/runs/[a-z0-9]+"))
    expect(page.get_by_role("heading", name="Before and after, on the same prompts")).to_be_visible()
