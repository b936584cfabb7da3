"""The table of experts and the page of one."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Product, Watch

ROW = "#experts-table a.row-link"
"""A row whose expert has come from the server."""


def rows(page: Page, column: str) -> list[str]:
    return page.locator(f"#experts-table .ag-row [col-id={column}]").all_inner_texts()


def flagged(product: Product) -> tuple[int, int]:
    layer, expert = product.api(f"/runs/{product.run['id']}/report.json").json()["flagged"]["experts"][0]
    return layer, expert


def test_the_table_starts_with_the_audits_own_ranking(page: Page, product: Product) -> None:
    page.goto(product.tab("/experts"))
    expect(page.locator(ROW).first).to_be_visible()
    experts = product.api(f"/runs/{product.run['id']}/experts").json()["items"]
    first = page.locator("#experts-table .ag-pinned-left-cols-container .ag-row[row-index='0']")
    expect(first).to_contain_text(f"L{experts[0]['layer']}·E{experts[0]['expert']}")
    passed = [name for name in experts[0]["evidence"] if experts[0]["evidence"][name]]
    cell = page.locator("#experts-table .ag-row[row-index='0'] [col-id=level]")
    expect(cell).to_have_text(f"{len(passed)} of 6")
    expect(cell).to_have_attribute("title", f"Evidence {len(passed)} of 6: {', '.join(passed)}")
    assert len(re.findall(r"\bstep-\d\b", cell.get_attribute("class") or "")) == len(passed)


def test_order_and_filter_stand_in_the_address(page: Page, product: Product) -> None:
    page.goto(product.tab('/experts?filter={"layer":{"filterType":"number","type":"equals","filter":1}}'))
    expect(page.locator(ROW).first).to_be_visible()
    page.get_by_role("columnheader", name="Stability").click()
    expect(page).to_have_url(re.compile(r"sort=stability\.asc"))
    expect(page).to_have_url(re.compile("filter="))
    page.reload()
    expect(page.get_by_role("columnheader", name="Stability")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator(ROW).first).to_be_visible()
    expect(page.locator("#experts-count")).to_have_text("16 of 64 experts")
    shown = [float(text) for text in rows(page, "stability")]
    assert shown == sorted(shown)
    assert set(rows(page, "layer")) == {"1"}


def test_a_new_filter_begins_at_its_first_row_and_none_leaves_the_table_empty(page: Page, product: Product) -> None:
    page.goto(product.tab("/experts"))
    expect(page.locator(ROW).first).to_be_visible()
    page.evaluate("() => window.dash_ag_grid.getApi('experts-table').ensureIndexVisible(63, 'bottom')")
    expect(page.locator("#experts-table .ag-row[row-index='63'] a.row-link")).to_be_visible()
    page.evaluate("() => window.dash_ag_grid.getApi('experts-table').showColumnFilter('layer')")
    field = page.locator(".ag-filter input[type=number]").first
    field.fill("2")
    expect(page.locator("#experts-count")).to_have_text("16 of 64 experts")
    expect(page.locator("#experts-table .ag-row[row-index='0'] a.row-link")).to_have_text(re.compile("^L2·"))
    expect(page).to_have_url(re.compile("filter="))
    field.fill("77")
    expect(page.locator("#experts-count")).to_have_text("0 of 64 experts")
    expect(page.locator(ROW)).to_have_count(0)
    field.fill("")
    expect(page.locator("#experts-count")).to_have_text("64 experts")
    expect(page.locator("#experts-table .ag-row[row-index='0'] a.row-link")).to_be_visible()
    expect(page).not_to_have_url(re.compile("filter="))


def test_rows_come_once_a_silent_server_answers_again(page: Page, product: Product, watched: Watch) -> None:
    page.route("**/experts/rows?*", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.goto(product.tab("/experts"))
    expect(page.locator("#experts-table .awaited").first).to_be_visible()
    page.unroute("**/experts/rows?*")
    expect(page.locator("#experts-table a.row-link").first).to_be_visible()
    assert "ERR_FAILED" in watched.errors.pop()


def test_the_box_before_a_row_selects_its_expert_in_every_view(page: Page, product: Product) -> None:
    layer, expert = flagged(product)
    page.goto(product.tab("/experts"))
    row = page.locator("#experts-table .ag-pinned-left-cols-container .ag-row", has_text=f"L{layer}·E{expert}").first
    row.get_by_role("button", name=f"Select L{layer}·E{expert}").click()
    expect(page).to_have_url(re.compile(rf"sel={layer}\.{expert}$"))
    expect(row).to_have_class(re.compile(r"\blit\b"))
    expect(row.get_by_role("button", name=f"Deselect L{layer}·E{expert}")).to_have_attribute("aria-pressed", "true")
    expect(
        page.locator("#experts-ranks .annotation-text", has_text=f"L{layer}·E{expert}").locator("tspan")
    ).to_have_css("font-weight", re.compile("bold|700"))
    page.reload()
    expect(row).to_have_class(re.compile(r"\blit\b"))
    page.locator("#selection-bar").get_by_role("button", name="Clear the selection").click()
    expect(row).not_to_have_class(re.compile(r"\blit\b"))


def test_the_space_bar_selects_the_row_of_a_cell(page: Page, product: Product) -> None:
    page.goto(product.tab("/experts"))
    cell = page.locator("#experts-table .ag-center-cols-container .ag-row[row-index='1'] [col-id=layer]")
    expect(cell).not_to_be_empty()
    cell.focus()
    page.keyboard.press(" ")
    expect(page).to_have_url(re.compile(r"sel=\d+\.\d+$"))
    expect(page.locator("#experts-table .ag-center-cols-container .ag-row[row-index='1']")).to_have_class(
        re.compile(r"\blit\b")
    )
    cell.focus()
    page.keyboard.press(" ")
    expect(page).not_to_have_url(re.compile("sel="))


def test_a_selected_topic_is_a_column(page: Page, product: Product) -> None:
    page.goto(product.tab("/experts?topic=banking&sort=lift_topic.desc"))
    expect(page.get_by_role("columnheader", name="lift, banking")).to_have_attribute("aria-sort", "descending")
    expect(page.locator(ROW).first).to_be_visible()
    shown = [float(text.removesuffix(" ×")) for text in rows(page, "lift_topic") if text]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] > 1


def test_a_row_opens_its_expert_and_back_returns_to_the_order(page: Page, product: Product) -> None:
    page.goto(product.tab("/experts?sort=layer.desc"))
    cell = page.locator("#experts-table .ag-center-cols-container .ag-row[row-index='0'] [col-id=layer]")
    expect(cell).to_have_text(re.compile(r"\d+"))  # a row is there before its numbers are
    layer = cell.inner_text()
    cell.click()
    expect(page).to_have_url(re.compile(rf"/experts/{layer}/\d+$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"L{layer}·E")
    page.go_back()
    expect(page.get_by_role("columnheader", name="Layer")).to_have_attribute("aria-sort", "descending")


def test_texts_are_covered_until_a_click(page: Page, product: Product) -> None:
    layer, expert = flagged(product)
    run = f"/runs/{product.run['id']}"
    top = product.api(f"{run}/experts/{layer}/{expert}").json()["prompts"][0]["prompt_id"]
    listed = product.api(f"/prompt-sets/{product.run['prompt_set']['id']}/prompts?limit=500").json()["items"]
    text = next(prompt["text"] for prompt in listed if prompt["id"] == top)
    page.goto(product.tab(f"/experts/{layer}/{expert}"))
    buttons = page.get_by_role("button", name="Show prompt and answers")
    expect(buttons.first).to_be_visible()
    assert text not in page.content()
    buttons.first.click()
    expect(page.locator(".uncovered .prompt-text")).to_have_text(text)
    expect(page.locator(".uncovered")).to_contain_text("Untouched model")


def test_neighbours_by_rank_lead_on(page: Page, product: Product) -> None:
    layer, expert = flagged(product)
    page.goto(product.tab(f"/experts/{layer}/{expert}"))
    following = page.get_by_role("link", name=re.compile(r"^Next: L\d+·E\d+"))
    name = following.inner_text().removeprefix("Next: ")
    following.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    expect(page).to_have_title(re.compile(re.escape(name)))
