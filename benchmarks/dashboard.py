"""Does the dashboard stay quick with the largest models? A run of 94 layers of 512 experts on 600 prompts, served for
real.

    python -m benchmarks.dashboard [--folder DIR] [--calls 72] [--no-browser] [--chromium /usr/bin/chromium] [--json]

The run is made first (`benchmarks._large_run`: real shapes, drawn numbers), from a real audit of `organism:planted`;
with --folder it is kept and used again. Then the server is started on it. *Wall* is what a client on the same machine
waits, *CPU* what the server computed for a call, which other work on the same cores does not lengthen.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.pages.experts.table import BLOCK
from benchmarks._large_run import TOPICS, Size, make_folder
from benchmarks._served import Call, Served, serving

QUANTITIES = ("frequency", "probability", "lift", "difference")
WINDOWS = ("prompt", "boundary", "response")
CRITERIA = ("raset", "raset_gradient", "integrated", "safex", "steermoe", "ablation")
MEGABYTE = 1e6


@dataclass(frozen=True)
class Row:
    """Times in milliseconds, sizes in megabytes; `first` is the first call, which finds nothing unpacked and is not
    among the `calls` of the percentiles. `limit` is what is asked of p95, `cpu` the server's own time a call."""

    what: str
    calls: int
    first: float
    p50: float
    p95: float
    cpu: float | None
    largest: float | None
    limit: float | None


def template(folder: Path) -> dict[str, Any]:
    """The report of a real audit, made once."""
    kept = folder / "template.json"
    if not kept.exists():
        from analysis.audit import AuditSettings, audit
        from analysis.models import load_model
        from analysis.prompts import load_prompts

        report = audit(
            load_model("organism:planted"), load_prompts("builtin:organism"), AuditSettings.from_preset("quick")
        ).report
        kept.write_text(json.dumps(report), encoding="utf-8")
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def prepared(folder: Path, size: Size) -> str:
    """The id of the large run in `folder`, which is made where it is not there."""
    kept = folder / "run"
    if not kept.exists():
        kept.write_text(make_folder(folder, template(folder), size), encoding="utf-8")
    return kept.read_text(encoding="utf-8")


def timed(what: str, served: Served, calls: Iterable[Callable[[], Call]], limit: float | None = None) -> Row:
    first, *rest = calls
    opening = first()
    begun = served.cpu_seconds()
    found = [one() for one in rest]
    cpu = (served.cpu_seconds() - begun) / len(found)
    p50, p95 = (float(value) * 1e3 for value in np.percentile([one.seconds for one in found], (50, 95)))
    largest = max(one.size for one in [opening, *found]) / MEGABYTE
    return Row(what, len(found), opening.seconds * 1e3, p50, p95, cpu * 1e3, largest, limit)


def heatmaps(served: Served, run: str, calls: int) -> Row:
    """Quantities × groups × windows, as the rail of the routing page asks for them."""
    groups = ["all", *(f"topic:{topic}" for topic in TOPICS)]
    choices = list(itertools.islice(itertools.product(groups, WINDOWS, QUANTITIES), calls + 1))

    def draw(group: str, window: str, quantity: str) -> Call:
        values = {
            "routing-quantity.value": quantity,
            "routing-group.value": group,
            "routing-window.value": window,
            "routing-order.value": "index",
            "routing-view.value": "picture",
            "routing-run.data": {"run": run, "flagged": [[1, 2], [30, 400], [93, 511]]},
        }
        return served.call("routing-heatmap.figure", values, "routing-quantity.value")

    return timed("heatmap", served, [partial(draw, *choice) for choice in choices], limit=60)


def fetch(served: Served, run: str, topic: str | None = None, **request: Any) -> Call:
    query = {
        "start": request.get("startRow", 0),
        "end": request.get("endRow", BLOCK),
        "sort": json.dumps(request.get("sortModel", [])),
        "filter": json.dumps(request.get("filterModel", {})),
        "criteria": ",".join(CRITERIA),
    } | ({"topic": topic} if topic else {})
    return served.get(f"/ui/runs/{run}/experts/rows", query)


def tables(served: Served, run: str, size: Size, calls: int) -> list[Row]:
    """Blocks of the table of experts: while scrolling, sorted by any column, filtered, with a topic's lift."""
    starts = [
        int(at) // BLOCK * BLOCK for at in np.random.default_rng(0).integers(0, size.layers * size.experts, calls + 1)
    ]
    columns = ["name", "effect", "stability", "harmful", *(f"score_{name}" for name in CRITERIA)]
    filters = [
        {"layer": {"type": "equals", "filter": 7}},
        {"name": {"type": "contains", "filter": "E1"}},
        {
            "score_raset": {"type": "greaterThan", "filter": 0.1},
            "layer": {"type": "inRange", "filter": 3, "filterTo": 60},
        },
        {"effect": {"type": "notBlank"}},
        {"stability": {"operator": "OR", "conditions": [{"type": "lessThan", "filter": 0.1}, {"type": "blank"}]}},
    ]

    def sort(at: int) -> list[dict[str, str]]:
        return [{"colId": columns[at % len(columns)], "sort": ("asc", "desc")[at % 2]}]

    def block(at: int) -> dict[str, Any]:
        return {"startRow": starts[at], "endRow": starts[at] + BLOCK}

    numbers = range(calls + 1)
    by_filter: list[dict[str, Any]] = [
        {"filterModel": filters[at % len(filters)], "sortModel": sort(at)} for at in numbers
    ]
    return [
        timed("experts, scrolled", served, [partial(fetch, served, run, **block(at)) for at in numbers], 150),
        timed(
            "experts, sorted",
            served,
            [partial(fetch, served, run, **block(at), sortModel=sort(at)) for at in numbers],
            150,
        ),
        timed("experts, filtered", served, [partial(fetch, served, run, **one) for one in by_filter], 150),
        timed(
            "experts, lift of a topic",
            served,
            [
                partial(
                    fetch, served, run, TOPICS[at % len(TOPICS)], sortModel=[{"colId": "lift_topic", "sort": "desc"}]
                )
                for at in numbers
            ],
            150,
        ),
    ]


def pages(served: Served, run: str) -> list[Row]:
    """Each page of the run as the navigation asks for it, three times. The first is what a cold server needs."""
    views = ("", "/routing", "/topics", "/experts", "/experts/32/404", "/interventions", "/report")

    def open_page(view: str) -> Call:
        values = {"visit.data": {"pathname": f"/ui/runs/{run}{view}", "search": ""}}
        return served.call("content.children", values, "visit.data")

    return [timed(f"page {view or '/'}", served, [partial(open_page, view)] * 4) for view in views]


def in_browser(path: str, folder: Path, run: str, size: Size) -> list[Row]:
    """First pages on a server that has just started, then on one that knows the run; then a tour of all views."""
    from benchmarks._browsed import READY, chromium, first_usable, tour

    found = []
    with chromium(path) as browser:
        for view in ("", "/routing", "/topics", "/experts"):
            with serving(folder) as served:
                address = f"{served.url}/ui/runs/{run}{view}"
                cold, transfers = first_usable(browser, address, READY[view])
                warm = [first_usable(browser, address, READY[view])[0] for _ in range(3)]
            p50, p95 = (float(value) * 1e3 for value in np.percentile(warm, (50, 95)))
            whole = transfers.total / MEGABYTE
            found.append(Row(f"first load {view}", len(warm), cold * 1e3, p50, p95, None, whole, 2000))
        with serving(folder) as served:
            blocks = [int(at) for at in np.random.default_rng(1).integers(0, size.layers * size.experts, 24)]
            seen = tour(browser, f"{served.url}/ui/runs/{run}", "/experts/32/404", blocks)
    largest = seen.transfers.largest / MEGABYTE
    found += [_seconds(f"view {view} after the first load", [seconds], None) for view, seconds in seen.views.items()]
    found.append(_seconds("browser, scroll to rows shown", seen.scrolls, 150))
    found.append(_seconds("browser, typed filter to rows shown", seen.filters, 150))
    last = "largest of all transfers after the first"
    return [*found, Row(last, len(seen.transfers.sizes), 0.0, 0.0, 0.0, None, largest, None)]


def _seconds(what: str, seconds: Sequence[float], limit: float | None) -> Row:
    p50, p95 = (float(value) * 1e3 for value in np.percentile(seconds, (50, 95)))
    return Row(what, len(seconds), seconds[0] * 1e3, p50, p95, None, None, limit)


def measure(folder: Path, size: Size, calls: int, browser: str | None) -> tuple[list[Row], tuple[float, float]]:
    """Every row, and the server's memory in megabytes: at the end of the calls over HTTP, and at most."""
    run = prepared(folder, size)
    with serving(folder) as served:
        rows = [*pages(served, run), heatmaps(served, run, calls), *tables(served, run, size, calls)]
        memory = served.megabytes()
    return rows + (in_browser(browser, folder, run, size) if browser else []), memory


def show(rows: Sequence[Row], memory: tuple[float, float]) -> None:
    print(f"{'':40s} {'calls':>5s} {'first':>8s} {'p50':>8s} {'p95':>8s} {'CPU':>7s} {'MB':>7s} {'limit':>6s}")
    for row in rows:
        cells = [f"{row.first:8.0f}", f"{row.p50:8.0f}", f"{row.p95:8.0f}"]
        cells.append(f"{row.cpu:7.1f}" if row.cpu is not None else " " * 7)
        cells.append(f"{row.largest:7.3f}" if row.largest is not None else " " * 7)
        cells.append(f"{row.limit:6.0f}" if row.limit is not None else "")
        print(f"{row.what:40s} {row.calls:5d} {' '.join(cells)}".rstrip())
    print(f"server memory: {memory[0]:.0f} MB at the end, {memory[1]:.0f} MB at most")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the run is kept; a temporary folder otherwise")
    parser.add_argument("--calls", type=int, default=72, help="calls of each kind")
    for name, default in (("layers", 94), ("experts", 512), ("pairs", 300)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--no-browser", action="store_true", help="only what can be measured over HTTP")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    given = parser.parse_args(arguments)
    size = Size(layers=given.layers, experts=given.experts, pairs=given.pairs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows, memory = measure(folder, size, given.calls, None if given.no_browser else given.chromium)
    if given.json:
        json.dump({"rows": [asdict(row) for row in rows], "server_megabytes": memory}, sys.stdout, indent=2)
        print()
        return
    show(rows, memory)


if __name__ == "__main__":
    main()
