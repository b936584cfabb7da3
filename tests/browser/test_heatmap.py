"""The heatmap: its cells are the API's and the files' cells, and everything chosen stands in the address."""

import csv
import io
import re

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product

CELLS = "plot => plot._fullData[0].z.map(row => Array.from(row))"


def drawn(page: Page) -> npt.NDArray[np.float32]:
    """The numbers behind the picture, as Plotly holds them in the browser."""
    picture = page.locator("#routing-heatmap .js-plotly-plot")
    expect(picture.locator(".heatmaplayer image")).to_have_count(1)
    return np.array(picture.evaluate(CELLS), dtype=np.float32)


def from_api(product: Product, query: str) -> npt.NDArray[np.float32]:
    values = product.api(f"/runs/{product.run['id']}/heatmap?{query}").json()["values"]
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(
    "query",
    [
        "quantity=frequency&group=all&window=prompt",
        "quantity=probability&group=harmful&window=boundary",
        "quantity=lift&group=benign&window=response",
        "quantity=difference&group=all&window=prompt",
    ],
)
def test_the_picture_shows_the_cells_of_the_api(page: Page, product: Product, query: str) -> None:
    page.goto(product.tab(f"/routing?{query}"))
    np.testing.assert_array_equal(drawn(page), from_api(product, query))


def test_picture_api_and_files_agree_on_every_expert(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    shown = drawn(page)
    run = f"/runs/{product.run['id']}"
    layers = product.api(f"{run}/heatmap").json()["layers"]
    experts = list(csv.DictReader(io.StringIO(product.api(f"{run}/experts.csv").text)))
    cells = list(csv.DictReader(io.StringIO(product.api(f"{run}/heatmap.csv").text)))
    assert len(experts) == len(cells) == shown.size
    for row in experts:
        assert np.float32(row["frequency_all"]) == shown[layers.index(int(row["layer"])), int(row["expert"])]
    for row in cells:
        assert np.float32(row["frequency"]) == shown[layers.index(int(row["layer"])), int(row["expert"])]


def test_the_table_is_the_picture_in_numbers(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing?quantity=difference"))
    shown = drawn(page)
    page.get_by_text("Table", exact=True).click()
    expect(page).to_have_url(re.compile("view=table"))
    expect(page.locator("#routing-heatmap")).to_be_hidden()
    first = page.locator("#routing-table .ag-row[row-index='0']")
    expect(first.locator("[col-id=name]")).to_contain_text("L0·E0")
    text = f"{shown[0, 0]:.4f}".replace("-", "−")
    expect(first.locator("[col-id=value]")).to_have_text(text)


def test_everything_chosen_survives_a_reload(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    page.get_by_role("radio", name="Router probability").check()
    page.get_by_role("textbox", name="Prompts").click()
    page.get_by_role("option", name="banking").click()
    page.get_by_role("radio", name="Boundary").check()
    expect(page.locator("#routing-title")).to_have_text("Router probability, topic banking")
    expect(page).to_have_url(re.compile(r"quantity=probability&group=topic%3Abanking&window=boundary"))
    page.reload()
    expect(page.locator("#routing-title")).to_have_text("Router probability, topic banking")
    expect(page.get_by_role("radio", name="Boundary")).to_be_checked()
    chosen = from_api(product, "quantity=probability&group=topic:banking&window=boundary")
    np.testing.assert_array_equal(drawn(page), chosen)


def test_a_difference_leaves_a_single_label(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing?group=harmful"))
    page.get_by_role("radio", name="Harmful − benign").check()
    expect(page.locator("#routing-title")).to_have_text("Harmful − benign, all prompts")
    expect(page.get_by_role("textbox", name="Prompts")).to_have_value("All prompts")


def test_hovering_names_layer_expert_and_value(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    shown = drawn(page)
    box = page.locator("#routing-heatmap .nsewdrag").bounding_box()
    assert box is not None
    rows, columns = shown.shape
    page.mouse.move(box["x"] + 2.5 * box["width"] / columns, box["y"] + 1.5 * box["height"] / rows)
    hover = page.locator("#routing-heatmap .hoverlayer")
    expect(hover).to_contain_text("layer 1 · expert 2")
    expect(hover).to_contain_text(f"{shown[1, 2]:.3f}")


def test_a_cell_opens_its_expert_and_the_address_remembers_it(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    rows, columns = drawn(page).shape
    area = page.locator("#routing-heatmap .nsewdrag")
    box = area.bounding_box()
    assert box is not None
    area.click(position={"x": 3.5 * box["width"] / columns, "y": 2.5 * box["height"] / rows})
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text("L2·E3")
    expect(page).to_have_url(re.compile(r"expert=2\.3"))
    page.reload()
    expect(page.get_by_role("dialog")).to_contain_text("L2·E3")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("expert="))


def test_t_swaps_picture_and_table(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    drawn(page)
    page.keyboard.press("t")
    expect(page.locator("#routing-table")).to_be_visible()
    page.keyboard.press("t")
    expect(page.locator("#routing-heatmap")).to_be_visible()
