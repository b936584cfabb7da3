"""What a person does on the first day: find an audit, start one of their own, read it, take the report away."""

import csv
import io
import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Product


def own_prompts(product: Product) -> list[dict[str, str]]:
    """Matched pairs of the organism's own language, as a person would have them in a spreadsheet."""
    sets = product.api("/prompt-sets").json()["items"]
    found = next(item for item in sets if item["id"] == product.run["prompt_set"]["id"])
    prompts = product.api(f"/prompt-sets/{found['id']}/prompts?limit=500").json()["items"]
    return [{key: row[key] for key in ("id", "text", "label", "topic", "pair_id")} for row in prompts]


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["prompt", "label", "topic", "pair_id"])
    writer.writerows([row["text"], row["label"], row["topic"], row["pair_id"]] for row in rows)
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def test_the_whole_path(page: Page, product: Product, tmp_path: Path) -> None:
    prompts = own_prompts(product)
    page.goto(f"{product.url}/")
    expect(page).to_have_title(re.compile("Runs"))
    expect(page.get_by_text("Latest audit")).to_be_visible()
    expect(page.get_by_role("link", name="Open the audit")).to_be_visible()

    page.get_by_role("link", name="New run").click()
    expect(page.get_by_role("heading", name="New run")).to_be_visible()
    choose_model(page, "planted")

    broken = [dict(row) for row in prompts]
    broken[2]["label"] = "evil"
    page.locator(".drop input[type=file]").set_input_files(write_csv(tmp_path / "broken.csv", broken))
    faults = page.locator("#new-faults")
    expect(faults).to_contain_text("row 4")
    expect(faults).to_contain_text("column 'label'")
    expect(faults).to_contain_text("evil")
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    assert [item["name"] for item in product.api("/prompt-sets").json()["items"] if item["name"] == "broken"] == []

    page.locator(".drop input[type=file]").set_input_files(write_csv(tmp_path / "mine.csv", prompts))
    expect(page.locator("#new-preview")).to_contain_text(f"the first 5 of {len(prompts)} prompts")
    expect(faults).to_be_empty()
    page.get_by_role("radio", name="Quick").check()
    page.get_by_role("button", name="Start").click()

    expect(page.locator("#run-progress h1")).to_be_visible()
    heading = page.get_by_role("heading", level=1, name=re.compile("refusal"))
    expect(heading).to_be_visible(timeout=240_000)
    for question in ("Asked", "Capture", "Routing", "Experts", "Effect", "Doubt"):
        expect(page.get_by_role("heading", name=re.compile(rf"\d\s*{question}$"))).to_be_visible()

    page.get_by_role("link", name="Routing", exact=True).click()
    expect(page.locator("#routing-heatmap .cartesianlayer")).to_be_visible()
    page.get_by_role("radio", name="Lift", exact=True).check()
    expect(page.locator("#routing-title")).to_have_text("Lift, all prompts")
    expect(page).to_have_url(re.compile(r"quantity=lift"))
    page.reload()
    expect(page.locator("#routing-title")).to_have_text("Lift, all prompts")
    expect(page.get_by_role("radio", name="Lift", exact=True)).to_be_checked()

    page.locator("#routing-heatmap .nsewdrag[data-subplot=xy]").click(position={"x": 200, "y": 60})
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("heading", level=2).nth(1)).to_be_visible()
    drawer.get_by_role("link", name="Open expert").click()
    expect(page).to_have_url(re.compile(r"/experts/(\d+)/(\d+)\?sel=\1\.\2$"))
    expect(page.get_by_role("heading", name="Prompts that use it most")).to_be_visible()

    page.get_by_role("link", name="Report", exact=True).first.click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download report.html").click()
    report = Path(downloading.value.path()).read_text(encoding="utf-8")
    assert "<html" in report
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download report.json").click()
    assert json.loads(Path(downloading.value.path()).read_text(encoding="utf-8"))["prompts"]["name"] == "mine"


def choose_model(page: Page, name: str) -> None:
    page.get_by_role("textbox", name="Registered models").click()
    page.get_by_role("option", name=re.compile(rf"^{name} ")).click()
    expect(page.locator("#new-model-note")).to_contain_text("MoE layers")
