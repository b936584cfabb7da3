"""The pages of a large run in real Chromium: how soon they can be used, and what they transfer."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# Times are taken in the page itself, so that the driver's own round trips do not count.
_SCROLL = """index => new Promise((done, fail) => {
  const start = performance.now();
  window.dash_ag_grid.getApi("experts-table").ensureIndexVisible(index, "top");
  const look = () => {
    const row = document.querySelector(`#experts-table .ag-row[row-index="${index}"] a.row-link`);
    if (row) return done(performance.now() - start);
    performance.now() - start > 20000 ? fail(new Error("no row " + index)) : requestAnimationFrame(look);
  };
  look();
})"""
_TYPE = """number => new Promise((done, fail) => {
  const grid = window.dash_ag_grid.getApi("experts-table");
  const field = document.querySelector(".ag-filter input[type=number]");
  const start = performance.now();
  field.focus();
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, number);
  for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
  const look = () => {
    const model = grid.getFilterModel().layer;
    const row = document.querySelector('#experts-table .ag-row[row-index="0"] a.row-link');
    if (model && model.filter === number && row && row.textContent.startsWith("L" + number + "·"))
      return done(performance.now() - start);
    performance.now() - start > 20000 ? fail(new Error("nothing changed for " + number)) : requestAnimationFrame(look);
  };
  look();
})"""
_USABLE = """() => new Promise((done, fail) => {
  const look = () => {
    if (document.querySelector("#content h1") && document.querySelector(READY)) return done(performance.now());
    performance.now() > 60000 ? fail(new Error("READY is not there")) : requestAnimationFrame(look);
  };
  look();
})"""
READY = {
    "": "#content .questions > .question:nth-of-type(6)",
    "/routing": ".js-plotly-plot .main-svg .heatmaplayer image, .js-plotly-plot .main-svg .hm image",
    "/topics": ".js-plotly-plot .main-svg",
    "/experts": "#experts-table .ag-row a.row-link",
}
"""What has to be there before a view of a run can be used, beside its heading."""


@dataclass
class Transfers:
    """Bytes of each answer's body, with its address, since `begin`."""

    sizes: list[tuple[int, str]] = field(default_factory=list)

    def follow(self, page: Any) -> None:
        page.on("response", self._note)

    def _note(self, response: Any) -> None:
        try:
            self.sizes.append((len(response.body()), response.url))
        except Exception:  # a redirect, or a page that was left before its answer came: nothing was transferred
            return

    @property
    def largest(self) -> int:
        return max((size for size, _ in self.sizes), default=0)

    @property
    def total(self) -> int:
        return sum(size for size, _ in self.sizes)


@contextmanager
def chromium(path: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*switches, "--disable-dev-shm-usage"])
        yield browser
        browser.close()


def first_usable(browser: Any, address: str, ready: str) -> tuple[float, Transfers]:
    """Seconds from nothing in the cache to a heading and what `ready` names, by the page's own clock, which begins with
    the navigation, and what was transferred for it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, transfers = context.new_page(), Transfers()
    transfers.follow(page)
    page.goto(address, wait_until="commit")
    seconds = float(page.evaluate(_USABLE.replace("READY", json.dumps(ready), 1))) / 1000
    page.wait_for_load_state("networkidle")
    context.close()
    return seconds, transfers


@dataclass(frozen=True)
class Tour:
    """What one visit to every view took after the first load: seconds by view, and all transfers."""

    views: dict[str, float]
    transfers: Transfers
    scrolls: list[float]
    filters: list[float]


def tour(browser: Any, run: str, expert: str, blocks: list[int]) -> Tour:
    """Visit every view from the overview on, scroll the table of experts to `blocks` and filter it by typing."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(run)
    page.locator(READY[""]).first.wait_for(timeout=60_000)
    page.wait_for_load_state("networkidle")
    transfers, views = Transfers(), {}
    transfers.follow(page)
    for view, ready in READY.items():
        if view:
            views[view] = _visit(page, run + view, ready)
    scrolls = [float(page.evaluate(_SCROLL, index)) / 1000 for index in blocks]
    filters = _filters(page)
    views["/experts/…"] = _visit(page, run + expert, ".js-plotly-plot .main-svg")
    page.wait_for_load_state("networkidle")
    return Tour(views, transfers, scrolls, filters)


def _visit(page: Any, address: str, ready: str) -> float:
    """Without loading the document anew, as a click on a link does."""
    start = time.perf_counter()
    page.evaluate("address => window.expertscope.visit(new URL(address).pathname)", address)
    page.locator(ready).first.wait_for(timeout=60_000)
    seconds = time.perf_counter() - start
    page.wait_for_load_state("networkidle")
    return seconds


def _filters(page: Any) -> list[float]:
    """Asks for one layer after the other, as somebody does who types; never for the one that is shown first."""
    page.evaluate("() => window.dash_ag_grid.getApi('experts-table').showColumnFilter('layer')")
    page.locator(".ag-filter input").first.wait_for(timeout=20_000)
    page.wait_for_timeout(300)
    return [float(page.evaluate(_TYPE, number)) / 1000 for number in (*range(11, 92, 4), *range(3, 10))]
