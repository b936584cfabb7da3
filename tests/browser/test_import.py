"""A file of somebody else's columns and words becomes a prompt set, and a run's form opens with it."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Product


def foreign(folder: Path) -> Path:
    """Twenty prompts under foreign headers, one of them repeated in other letters, one under two labels."""
    lines = ["Question;Verdict;Area;Couple"]
    for number in range(10):
        area = ("food", "travel")[number % 2]
        lines.append(f"What is good about {area} {number}?;fine;{area};c{number}")
        lines.append(f"Toy threat number {number} about {area};risky;{area};c{number}")
    lines.append("WHAT is good   about food 0?;fine;food;")
    lines.append("toy threat number 1 about travel;fine;travel;")
    path = folder / "foreign.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def choose(page: Page, field: Locator, option: str) -> None:
    field.click()
    page.get_by_role("option", name=option, exact=True).locator("visible=true").click()


def test_a_foreign_file_is_mapped_looked_at_imported_and_asked(page: Page, product: Product, tmp_path: Path) -> None:
    page.goto(f"{product.url}/ui/prompt-sets")
    page.get_by_role("link", name="Import prompts").first.click()
    expect(page.get_by_role("heading", name="Import prompts")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_disabled()
    before = product.api("/prompt-sets").json()["count"]
    page.locator("#import-upload input[type=file]").set_input_files(foreign(tmp_path))
    expect(page.locator("#import-found")).to_contain_text("22 rows, 4 columns")
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value("question")
    go = page.get_by_role("button", name="Import", exact=True)
    expect(page.locator("#import-preview")).to_contain_text("unknown label 'fine'")
    expect(go).to_be_disabled()

    choose(page, page.get_by_role("textbox", name="fine × 12"), "benign")
    choose(page, page.get_by_role("textbox", name="risky × 10"), "harmful")
    choose(page, page.get_by_role("textbox", name="Pair", exact=True), "couple")
    expect(page.locator("#import-repeats")).to_contain_text("2 rows say the same as an earlier one")
    expect(page.locator("#import-summary")).to_contain_text("1 prompt under different labels")
    expect(go).to_be_disabled()
    page.get_by_role("radio", name="Keep the first").check()
    expect(page.locator("#import-summary")).to_contain_text("20 of 22 rows")
    expect(page.locator("#import-balance .main-svg").first).to_be_visible()
    covered = page.locator("#import-preview details.reveal").first
    expect(covered.locator("p")).to_be_hidden()
    covered.locator("summary").click()
    expect(covered.locator("p")).to_contain_text("Toy threat number 0")
    assert product.api("/prompt-sets").json()["count"] == before

    page.get_by_role("textbox", name="Name", exact=True).fill("From elsewhere")
    expect(go).to_be_enabled()
    go.click()
    expect(page.get_by_role("heading", name="From elsewhere")).to_be_visible()
    expect(page.get_by_text("10 harmful, 10 benign, 10 pairs, 2 topics")).to_be_visible()
    stored = product.api("/prompt-sets").json()["items"][0]
    assert (stored["name"], stored["harmful"], stored["benign"], stored["pairs"]) == ("From elsewhere", 10, 10, 10)

    page.get_by_role("link", name="New run").first.click()
    expect(page).to_have_url(re.compile(rf"prompts={stored['id']}"))
    expect(page.locator("#new-preview")).to_contain_text("From elsewhere: the first 5 of 20 prompts")
    expect(page.locator("#new-summary")).to_contain_text("10 harmful")
    expect(page.locator("#new-summary")).to_contain_text("about")
    expect(page.get_by_role("button", name="Start")).to_be_enabled()


def test_a_filter_of_prompts_stands_in_the_address(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/prompt-sets/{product.run['prompt_set']['id']}")
    topic = product.run["prompt_set"]["topics"][0]
    choose(page, page.get_by_role("textbox", name="Topic"), topic)
    expect(page).to_have_url(re.compile(r"topic="))
    rows = page.locator("#set-prompts tbody tr")
    expect(rows.filter(has_not_text=topic)).to_have_count(0)
    count = rows.count()
    assert count > 0
    page.reload()
    expect(rows).to_have_count(count)
