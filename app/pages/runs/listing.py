"""The list on /ui/runs: its rows, how far each is that waits or runs, and the two that are to be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import dash_mantine_components as dmc
from dash import ALL, dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import Column, aria, plain_table, status
from app.components.states import empty
from backend import formats
from backend.services import ENDED, RunInfo, Services, may
from backend.services import Page as Listing

PER_PAGE = 25
LIVE = {"type": "run-live", "run": ALL, "status": ALL}
"""The cells that follow a run: each knows the status that its row was drawn for."""
COMPARE = addresses.RUNS  # where the link leads while it is hidden


@dataclass(frozen=True)
class Chosen:
    """What the list is narrowed to, as it stands in the address."""

    status: str | None = None
    kind: str | None = None
    model: str | None = None
    search: str | None = None
    cursor: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        return cls(*(query.get(name) for name in cls.__dataclass_fields__))

    @property
    def filtered(self) -> bool:
        return replace(self, cursor=None) != Chosen()

    @property
    def address(self) -> str:
        return addresses.runs(self.status, self.cursor, self.kind, model=self.model, search=self.search)

    def fetch(self, services: Services) -> Listing[RunInfo]:
        return services.runs.list(
            status=self.status,
            kind=self.kind,
            model=self.model,
            search=self.search,
            limit=PER_PAGE,
            cursor=self.cursor,
        )


def active(runs: Sequence[RunInfo]) -> bool:
    """Whether any of them still moves."""
    return any(run.status not in ENDED for run in runs)


def changed(ids: Sequence[Mapping[str, str]], runs: Sequence[RunInfo]) -> bool:
    """Whether a run is no longer of the status that its row was drawn for."""
    return any(one["status"] != run.status for one, run in zip(ids, runs, strict=True))


def listed(services: Services, listing: Listing[RunInfo], chosen: Chosen) -> list[Component | None]:
    """Heading, rows, and the way to older ones."""
    heading = html.H2(_heading(listing.count, chosen), **aria(live="polite"))
    if not listing.items:
        clear = dcc.Link("Show all runs", href=addresses.RUNS, className="button")
        return [
            heading,
            empty("No run matches", "No run is of this kind, status and model, or has such a name.", clear),
        ]
    places, alive = services.runs.places(), services.workers.alive()
    pick = _two(listing.items)
    rows = [_row(run, places.get(run.id), alive, pick) for run in listing.items]
    return [
        html.Div([heading, _compare(listing.items)], className="spread"),
        plain_table(COLUMNS, rows, "Runs, newest first", "table runs"),
        _more(listing, chosen),
    ]


def _heading(count: int, chosen: Chosen) -> str:
    kind = f"{chosen.kind} run" if chosen.kind else "run"
    return " ".join(
        filter(
            None,
            [
                formats.plural(count, kind),
                chosen.status,
                f"of {chosen.model}" if chosen.model else None,
                f"with “{chosen.search}”" if chosen.search else None,
            ],
        )
    )


def _compare(runs: Sequence[RunInfo]) -> Component | None:
    """Two finished audits side by side; the browser fills in which two."""
    if not _two(runs):
        return None
    return html.Div(
        [
            html.Span("Choose two audits to compare", id="runs-compare-note", className="dim small", role="status"),
            dcc.Link("Compare", href=COMPARE, id="runs-compare", className="button hidden"),
        ],
        className="row",
    )


def _two(runs: Sequence[RunInfo]) -> bool:
    """Whether there are two that can be compared."""
    return sum(map(_comparable, runs)) > 1


def _comparable(run: RunInfo) -> bool:
    return run.kind == "audit" and run.status == "done"


def _more(listing: Listing[RunInfo], chosen: Chosen) -> Component:
    further = replace(chosen, cursor=listing.next).address
    first = replace(chosen, cursor=None).address
    older = dcc.Link("Older", href=further, className="button") if listing.next else None
    newest = dcc.Link("Newest", href=first, className="button") if chosen.cursor else None
    return html.Div([newest, older], className="row")


COLUMNS = [
    Column(html.Span("Compare", className="sr-only")),
    Column("Status"),
    Column("Run"),
    Column("Kind"),
    Column("Model"),
    Column("Prompts"),
    Column("Preset"),
    Column("Started", numeric=True),
    Column("Took", numeric=True),
    Column(html.Span("Actions", className="sr-only")),
]


def _row(run: RunInfo, place: int | None, alive: bool, pick: bool) -> list[Any]:
    return [
        _pick(run) if pick and _comparable(run) else None,
        status(run.status),
        html.Div(
            [
                dcc.Link(run.name, href=addresses.run(run.id), className="row-link"),
                html.Span(_ended(run), className="dim verdict") if run.status in ENDED else None,
                _live(run, place, alive) if run.status not in ENDED else None,
            ],
            className="run-cell",
        ),
        wording.KINDS[run.kind][0],
        run.model.name,
        f"{run.prompt_set.name}, {formats.count(run.prompt_set.prompts)}",
        run.preset,
        formats.moment(run.started or run.created),
        _took(run),
        _cancel(run) if run.status not in ENDED and may("runs.write") else None,
    ]


def _ended(run: RunInfo) -> str:
    return wording.sentence(run.kind, run.headline) if run.headline else run.error or ""


def _pick(run: RunInfo) -> Component:
    box: Component = dmc.Checkbox(
        id={"type": "run-pick", "run": run.id},
        checked=False,
        size="xs",
        **aria(label=f"Compare {run.name}"),
    )
    return box


def _cancel(run: RunInfo) -> Component:
    return html.Button(
        "Stopping…" if run.cancel_requested else "Cancel",
        id={"type": "run-cancel", "run": run.id},
        type="button",
        disabled=run.cancel_requested,
        className="button small-button",
        **aria(label=f"Cancel {run.name}"),
    )


def _live(run: RunInfo, place: int | None, alive: bool) -> Component:
    return html.Div(
        live_cell(run, place, alive), id={**LIVE, "run": run.id, "status": run.status}, className="run-live"
    )


def live_cell(run: RunInfo, place: int | None, alive: bool) -> list[Component]:
    """How far a run is: its place in the queue, or its stage, a bar and the time that is left."""
    if run.status == "queued":
        return [html.Span(_why_waiting(run, place, alive), className="dim")]
    known = run.progress
    if known is None:
        return [html.Span("Starting", className="dim")]
    share = 100 * known.done / known.total if known.total else 0
    left = f"about {formats.seconds(known.eta_seconds)} left" if known.eta_seconds is not None else ""
    stage = wording.stage(run.kind, known.stage)
    return [
        html.Span(f"{stage}: {known.done} of {known.total}", className="dim num"),
        dmc.Progress(
            value=share, size="xs", color="ink", transitionDuration=300, **aria(label=f"Progress of {run.name}")
        ),
        html.Span(left, className="dim small num"),
    ]


def _why_waiting(run: RunInfo, place: int | None, alive: bool) -> str:
    """Its place, a priority that is not the usual one, and the attempt that it waits for."""
    words = [waiting(place, alive)]
    if run.priority != "normal":
        words.append(f"{run.priority} priority")
    if run.retry:
        words.append(f"attempt {run.retry.attempt} of {run.retry.of} after a pause")
    return ", ".join(words)


def waiting(place: int | None, alive: bool) -> str:
    """A waiting run's place in words."""
    if not alive:
        return "Waiting: no worker is running"
    if place is None or place == 1:
        return "Next in the queue"
    return f"{formats.ordinal(place)} in the queue"


def _took(run: RunInfo) -> str:
    if run.started is None or run.finished is None:
        return formats.NONE
    return formats.seconds((run.finished - run.started).total_seconds())
