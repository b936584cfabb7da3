"""A number is the same wherever it stands: on the page, in the API's answer and in the report that is handed on.

The run is the first audit of the served product. What a page shows is read in the browser and compared with
report.json and with the endpoint behind the view; report.html is compared with the same.
"""

import csv
import html
import io
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from backend import formats
from tests.browser.conftest import Product
from tests.browser.test_accessibility import settle

CLAIMS = {
    "": [
        "routing.topic_ratio",
        "routing.jsd.topic",
        "routing.jsd.safety",
        "routing.jsd.within_topic",
        "outcomes.refusal_benign %",
        "outcomes.degenerate %",
        "outcomes.masked.base_refusal_harmful %",
        "outcomes.masked.refusal_harmful %",
        "flagged.effect nats",
        "flagged.null.mean",
        "flagged.p_value",
    ],
    "/topics": [
        "routing.topic_ratio",
        "routing.jsd.topic",
        "routing.jsd.within_topic",
        "routing.jsd.safety",
        "routing.jsd.refusal_prefix",
        "routing.jsd.behaviour",
        "routing.overlap.topic",
        "routing.overlap.safety",
    ],
    "/interventions": [
        "outcomes.masked.base_refusal_harmful %",
        "outcomes.masked.refusal_harmful %",
        "flagged.effect",
        "flagged.p_value",
        "flagged.selectivity",
        "flagged.concentration.m80",
        "interventions.committee.frequency",
        "interventions.committee.margin",
    ],
}
"""What each view of a run says of report.json; % is a share, another word the unit that is written with it. The
words are those of backend.formats."""


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def report(product: Product) -> dict[str, Any]:
    found: dict[str, Any] = product.api(f"/runs/{product.run['id']}/report.json").json()
    return found


def written(whole: dict[str, Any], claim: str) -> str:
    """The claim's number as a page writes it."""
    path, _, unit = claim.partition(" ")
    value: Any = whole
    for key in path.split("."):
        value = value[key]
    if isinstance(value, dict):
        return plain(str(formats.rate(value) if unit == "%" else formats.interval(value, unit)))
    return plain(formats.p_value(value) if path.endswith("p_value") else formats.number(value))


def missing(text: str, whole: dict[str, Any], claims: list[str]) -> list[str]:
    numbers = {claim: written(whole, claim) for claim in claims}
    said = {claim: re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text) for claim, number in numbers.items()}
    return [f"{claim} = {numbers[claim]}" for claim, found in said.items() if not found]


@pytest.mark.parametrize("view", CLAIMS, ids=lambda view: view.strip("/") or "overview")
def test_a_page_says_what_the_report_says(page: Page, product: Product, view: str) -> None:
    page.goto(product.tab(view))
    settle(page)
    assert missing(plain(page.locator("#content").inner_text()), report(product), CLAIMS[view]) == []


def test_the_report_that_is_handed_on_says_it_too(product: Product) -> None:
    text = product.api(f"/runs/{product.run['id']}/report.html").text
    words = plain(html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(script|style).*?</\1>", " ", text))))
    whole = report(product)
    outcomes = whole["outcomes"]
    for value in (whole["routing"]["topic_ratio"], whole["routing"]["jsd"]["safety"], whole["flagged"]["effect"]):
        assert plain(str(formats.interval(value))) in words
    for value in (outcomes["refusal_benign"], outcomes["masked"]["refusal_harmful"]):
        assert plain(str(formats.rate(value))) in words


def test_layers_are_the_same_on_the_page_and_in_both_answers(page: Page, product: Product) -> None:
    told = report(product)["routing"]["per_layer"]
    assert product.api(f"/runs/{product.run['id']}/topics").json()["items"] == told
    page.goto(product.tab("/topics"))
    settle(page)
    rows = numbers(table_of(page, "Topic, safety and within-topic divergence by layer"))
    for name, key in (("topic", "topic"), ("safety", "safety"), ("within topic", "within_topic")):
        shown = [row[1:] for row in rows if row[0] == name]
        assert len(shown) == len(told), f"no rows of {name} in {sorted({str(row[0]) for row in rows})}"
        for row, layer in zip(shown, told, strict=True):
            ends = [layer["layer"], *(layer[key][end] for end in ("estimate", "low", "high"))]
            assert row == pytest.approx(ends, rel=6e-3)


def test_the_topic_matrix_is_the_reports_in_the_services_order(page: Page, product: Product) -> None:
    told = report(product)["routing"]["topic_matrix"]["benign"]
    answer = product.api(f"/runs/{product.run['id']}/topics/matrix").json()
    assert (answer["topics"], answer["values"], answer["pairs"]) == (told["topics"], told["mean"], told["pairs"])
    page.goto(product.tab("/topics"))
    settle(page)
    plot = page.locator("#topics-matrix .js-plotly-plot")
    drawn = plot.evaluate(
        "plot => ({names: Array.from(plot._fullData[0].x), cells: plot._fullData[0].z.map(row => Array.from(row))})"
    )
    assert drawn["names"] == [told["topics"][place] for place in answer["order"]]
    for row, at in zip(drawn["cells"], answer["order"], strict=True):
        assert row == [told["mean"][at][other] for other in answer["order"]]


def test_the_dose_is_the_reports(page: Page, product: Product) -> None:
    told = report(product)["interventions"]["dose"]
    page.goto(product.tab("/interventions"))
    settle(page)
    text = plain(page.locator("#content").inner_text())
    for dose in told:
        for key in ("margin", "refusal"):
            assert plain(str(formats.interval(dose[key]))) in text


def test_every_expert_is_the_same_on_the_page_in_the_answer_the_file_and_the_report(
    page: Page, product: Product
) -> None:
    told = report(product)["experts"]
    run = f"/runs/{product.run['id']}"
    assert product.api(f"{run}/experts?limit=5000").json()["items"] == told
    rows = list(csv.DictReader(io.StringIO(product.api(f"{run}/experts.csv").text)))
    for row, expert in zip(rows, told, strict=True):
        assert (int(row["layer"]), int(row["expert"]), int(row["rank"])) == tuple(
            expert[key] for key in ("layer", "expert", "rank")
        )
        assert float(row["score_raset"]) == pytest.approx(expert["scores"]["raset"], rel=1e-6)
    page.goto(product.tab("/experts"))
    settle(page)
    grid = page.locator("#experts-table")
    for place, expert in enumerate(told[:8]):
        line = grid.locator(f".ag-row[row-index='{place}']")
        expect(line.locator("a.row-link")).to_have_text(formats.place(expert["layer"], expert["expert"]))
        effect = line.locator("[col-id=effect]")
        expect(effect).to_contain_text(str(formats.interval(expert["effect"])))


def test_an_experts_page_says_what_its_row_says(page: Page, product: Product) -> None:
    told = report(product)["experts"][0]
    place = f"{told['layer']}/{told['expert']}"
    answer = product.api(f"/runs/{product.run['id']}/experts/{place}").json()
    assert answer["row"] == told
    page.goto(product.tab(f"/experts/{place}"))
    settle(page)
    text = plain(page.locator("#content").inner_text())
    assert plain(str(formats.interval(told["effect"], "nats"))) in text
    for name in ("raset", "integrated", "ablation"):
        assert formats.number(told["scores"][name]) in text


def table_of(page: Page, figure: str) -> Locator:
    box = page.get_by_role("figure", name=figure).first
    box.get_by_role("button", name="Table:").click()
    expect(box.locator("tbody tr").first).to_be_visible()
    return box


def numbers(box: Locator) -> list[list[Any]]:
    """The rows of a chart's table; cells that are numbers as numbers."""
    read = "rows => rows.map(row => [...row.querySelectorAll('th, td')].map(cell => cell.textContent))"
    rows: list[list[str]] = box.locator("tbody tr").evaluate_all(read)
    return [[_number(cell) for cell in row] for row in rows]


def _number(cell: str) -> Any:
    raised = cell.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")).replace(" × 10", "e")
    try:
        return float(raised.replace(formats.MINUS, "-").replace(formats.THIN, ""))
    except ValueError:
        return cell
