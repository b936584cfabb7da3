"""From an audit to masking its experts, and what the pages of the other kinds of runs are for."""

import json
import re
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Product


def test_an_audits_experts_are_masked_with_two_clicks(page: Page, product: Product) -> None:
    """The form comes filled in; only the depth is left as it is."""
    page.goto(product.tab())
    page.get_by_role("link", name=re.compile("^Mask th")).click()
    expect(page.get_by_role("radio", name="Mask", exact=True)).to_be_checked()
    expect(page.get_by_role("textbox", name="Experts")).not_to_be_empty()
    expect(page.get_by_role("radio", name="Mask zero")).to_be_visible()
    expect(page.get_by_role("radio", name="Harden")).to_be_hidden()
    expect(page.locator("#new-preview table")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1, name=re.compile("These experts carry refusal"))).to_be_visible(
        timeout=240_000
    )
    expect(page.get_by_role("heading", name="Against random sets like them")).to_be_visible()
    expect(page.get_by_role("link", name="another run")).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="mask.json").click()
    document = json.loads(Path(downloading.value.path()).read_text(encoding="utf-8"))
    flagged = product.api(f"/runs/{product.run['id']}/report.json").json()["flagged"]["experts"]
    assert document["experts"] == sorted(flagged)


def test_an_expert_that_is_not_there_is_refused_at_its_field(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/runs/new?kind=tune&experts=99:0&model={product.run['model']['id']}")
    expect(page.get_by_role("radio", name="Harden")).to_be_checked()
    expect(page.get_by_role("radio", name="Stress")).to_be_disabled()
    expect(page.locator("#new-preview table")).to_be_visible()
    expect(page.get_by_text("layer 99 of planted has no experts").first).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    page.get_by_role("radio", name="Audit", exact=True).check()
    expect(page.get_by_role("textbox", name="Experts")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("kind="))


def test_the_list_narrows_to_a_kind(page: Page, product: Product) -> None:
    names = {kind: run["name"] for kind, run in product.others.items()}
    page.goto(f"{product.url}/ui/runs")
    page.get_by_role("navigation", name="Show runs by kind").get_by_role("link", name="Detector").click()
    expect(page).to_have_url(re.compile(r"kind=detect"))
    expect(page.get_by_role("link", name=names["detect"])).to_be_visible()
    expect(page.get_by_role("link", name=names["trace"])).to_have_count(0)


def test_a_tuning_shows_its_place_and_gives_its_adapter(page: Page, product: Product) -> None:
    run = product.others["tune"]
    page.goto(f"{product.url}/ui/runs/{run['id']}/tuning")
    expect(page.get_by_text("Tuning success alone localises nothing")).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile("Every tuned set by kind of control"))).to_be_visible()
    page.get_by_text("Every set in numbers").click()
    expect(page.get_by_role("region", name="Every tuned set")).to_be_visible()
    expect(page.get_by_text("The routers do not move.", exact=True)).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download adapter.zip").click()
    with zipfile.ZipFile(Path(downloading.value.path())) as packed:
        assert "adapter/adapter_model.safetensors" in packed.namelist()


def test_a_detector_and_a_trace_say_what_they_found(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/ui/runs/{product.others['detect']['id']}")
    expect(page.get_by_role("heading", level=1, name=re.compile("AUROC"))).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("On topics that it was not trained on"))).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download detector.safetensors").click()
    assert Path(downloading.value.path()).stat().st_size > 0
    page.goto(f"{product.url}/ui/runs/{product.others['trace']['id']}")
    expect(page.get_by_role("heading", level=1, name=re.compile("selections was seen"))).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile("Selection frequency of every expert"))).to_be_visible()
