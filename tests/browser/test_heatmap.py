"""The heatmap: its cells are the API's and the files' cells, and everything chosen stands in the address."""

import csv
import io
import re

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product

ORDER = "plot => plot._fullData[0].customdata.map(row => Array.from(row))"
LIT = "plot => plot.layout.shapes.filter(shape => shape.name === 'lit')"
AREA = "#routing-heatmap .nsewdrag[data-subplot=xy]"
CELLS = "plot => plot._fullData[0].z.map(row => Array.from(row))"


def drawn(page: Page) -> npt.NDArray[np.float32]:
    """The numbers behind the picture, as Plotly holds them in the browser."""
    picture = page.locator("#routing-heatmap .js-plotly-plot")
    expect(picture.locator(".heatmaplayer image")).to_have_count(1)
    return np.array(picture.evaluate(CELLS), dtype=np.float32)


def cell(page: Page, row: int, column: int) -> dict[str, float]:
    """The middle of a cell, seen from the corner of the cells."""
    rows, columns = drawn(page).shape
    box = page.locator(AREA).bounding_box()
    assert box is not None
    return {"x": (column + 0.5) * box["width"] / columns, "y": (row + 0.5) * box["height"] / rows}


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
        "quantity=probability&group=topic:banking&minus=topic:travel&window=prompt",
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
    page.locator("#routing-view").get_by_text("Table", exact=True).click()
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
    page.get_by_role("option", name="banking", exact=True).click()
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
    page.locator(AREA).hover(position=cell(page, 1, 2))
    hover = page.locator("#routing-heatmap .hoverlayer")
    expect(hover).to_contain_text("layer 1 · expert 2")
    expect(hover).to_contain_text(f"{shown[1, 2]:.3f}")


def test_a_cell_opens_its_expert_and_the_address_remembers_it(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    page.locator(AREA).click(position=cell(page, 2, 3))
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


def test_two_groups_are_compared_and_the_address_remembers_both(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing?group=topic:banking"))
    drawn(page)
    page.get_by_role("textbox", name="Less those of").click()
    page.get_by_role("option", name="travel", exact=True).click()
    expect(page.locator("#routing-title")).to_have_text("Selection frequency, topic banking − topic travel")
    expect(page).to_have_url(re.compile(r"group=topic%3Abanking&minus=topic%3Atravel"))
    expect(page.locator("#routing-heatmap .infolayer")).to_contain_text("more in banking →")
    expect(page.locator("#routing-heatmap .infolayer")).to_contain_text("← more in travel")
    expected = from_api(product, "group=topic:banking&minus=topic:travel")
    np.testing.assert_array_equal(drawn(page), expected)
    page.get_by_role("textbox", name="Less those of").click()
    page.get_by_role("option", name="Nothing").click()
    expect(page.locator("#routing-title")).to_have_text("Selection frequency, topic banking")
    expect(page).not_to_have_url(re.compile("minus="))


def test_every_choice_is_a_step_that_back_undoes(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    page.get_by_role("radio", name="Lift").check()
    expect(page.locator("#routing-title")).to_have_text("Lift, all prompts")
    page.get_by_role("radio", name="Topic", exact=True).check()
    expect(page).to_have_url(re.compile("quantity=lift&order=topic"))
    expect(page.locator("#routing-heatmap .infolayer")).to_contain_text("position in the layer")
    page.go_back()
    expect(page.get_by_role("radio", name="Index")).to_be_checked()
    expect(page.get_by_role("radio", name="Lift")).to_be_checked()
    page.go_back()
    expect(page.locator("#routing-title")).to_have_text("Selection frequency, all prompts")
    expect(page.get_by_role("radio", name="Selection frequency")).to_be_checked()
    page.go_forward()
    expect(page.locator("#routing-title")).to_have_text("Lift, all prompts")


def test_an_ordered_cell_still_names_selects_and_opens_its_expert(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing?order=topic"))
    shown = drawn(page)
    order = np.array(page.locator("#routing-heatmap .js-plotly-plot").evaluate(ORDER))
    values = from_api(product, "")
    np.testing.assert_array_equal(np.take_along_axis(values, order, axis=1), shown)
    expert = order[1, 0]
    assert not np.array_equal(order[1], np.arange(len(order[1])))
    page.locator(AREA).hover(position=cell(page, 1, 0))
    expect(page.locator("#routing-heatmap .hoverlayer")).to_contain_text(f"layer 1 · expert {expert}")
    page.locator(AREA).click(position=cell(page, 1, 0))
    expect(page.get_by_role("dialog")).to_contain_text(f"L1·E{expert}")
    expect(page).to_have_url(re.compile(rf"sel=1\.{expert}&expert=1\.{expert}|expert=1\.{expert}.*sel=1\.{expert}"))
    ring = page.locator("#routing-heatmap .js-plotly-plot").evaluate(LIT)
    assert [(one["x0"] + one["x1"]) / 2 for one in ring] == [0, 0]
    assert [(one["y0"] + one["y1"]) / 2 for one in ring] == [1, 1]


def test_a_selected_cell_is_lit_among_the_experts(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    page.locator(AREA).click(position=cell(page, 2, 3))
    expect(page.locator("#selection-bar")).to_contain_text("L2·E3")
    expect(page.get_by_role("dialog")).to_contain_text("L2·E3")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.locator(".run-tab", has_text="Experts").click()
    expect(page).to_have_url(re.compile(r"/experts\?sel=2\.3"))
    expect(page.locator("#selection-bar")).to_contain_text("L2·E3")


def test_back_closes_what_a_click_on_a_cell_has_opened_and_selected(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    page.locator(AREA).click(position=cell(page, 0, 2))
    expect(page.get_by_role("dialog")).to_contain_text("L0·E2")
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#selection-bar")).to_be_hidden()


def test_a_panel_for_each_topic_selects_it(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    drawn(page)
    page.locator("#routing-view").get_by_text("Topics", exact=True).click()
    expect(page).to_have_url(re.compile("view=topics"))
    panels = page.locator("#routing-maps .js-plotly-plot")
    topics = product.run["prompt_set"]["topics"]
    expect(panels.locator(".heatmaplayer image")).to_have_count(len(topics))
    last = panels.evaluate(CELLS.replace("[0]", f"[{len(topics) - 1}]"))
    np.testing.assert_array_equal(np.array(last, dtype=np.float32), from_api(product, f"group=topic:{topics[-1]}"))
    panels.locator(".nsewdrag").nth(1).click()
    expect(page).to_have_url(re.compile(f"topic={topics[1]}"))
    expect(page.locator("#selection-bar")).to_contain_text(topics[1])
    assert {one["xref"] for one in panels.evaluate(LIT)} == {"x2"}


def test_a_selected_topic_is_what_the_page_begins_with(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing?topic=banking&label=harmful"))
    expect(page.locator("#routing-title")).to_have_text("Selection frequency, topic banking, harmful")
    np.testing.assert_array_equal(drawn(page), from_api(product, "group=topic:banking/harmful"))
    page.get_by_role("textbox", name="Prompts").click()
    page.get_by_role("option", name="All prompts").click()
    expect(page).to_have_url(re.compile("group=all"))
    page.reload()
    expect(page.locator("#routing-title")).to_have_text("Selection frequency, all prompts")


def test_a_layers_row_is_ringed_and_stands_in_the_address(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing"))
    drawn(page)
    button = page.get_by_role("button", name="Layer 2: show in the picture")
    button.click()
    expect(page).to_have_url(re.compile("layer=2"))
    expect(button).to_have_attribute("aria-pressed", "true")
    ring = page.locator("#routing-heatmap .js-plotly-plot").evaluate(LIT)
    assert [(one["y0"], one["y1"]) for one in ring] == [(1.5, 2.5)] * 2
    button.click()
    expect(page).not_to_have_url(re.compile("layer="))


def test_the_table_is_sorted_by_the_server_and_enter_opens_an_expert(page: Page, product: Product) -> None:
    page.goto(product.tab("/routing?view=table"))
    first = page.locator("#routing-table .ag-row[row-index='0']")
    expect(first.locator("[col-id=name]")).to_contain_text("L0·E0")
    page.locator("#routing-table .ag-header-cell[col-id=value]").click()
    page.locator("#routing-table .ag-header-cell[col-id=value]").click()
    values = from_api(product, "")
    layer, expert = np.unravel_index(values.argmax(), values.shape)
    expect(first.locator("[col-id=name]")).to_contain_text(f"L{layer}·E{expert}")
    first.locator("[col-id=name]").press("Enter")
    expect(page).to_have_url(re.compile(rf"/experts/{layer}/{expert}"))
