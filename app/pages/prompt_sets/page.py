"""/ui/prompt-sets: the sets that runs can ask, and the prompts of one of them."""

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.development.base_component import Component

from app import addresses
from app.callbacks import Binder
from app.components import Column, aria, icon, info, plain_table
from app.components.permitted import new_run_link, permitted
from app.components.states import empty
from app.pages.models.runs_of import runs_section
from app.pages.prompt_sets.balance import balance_view
from app.pages.prompt_sets.text import prompt_text
from app.router import Page, View, Visit
from backend import formats
from backend.services import Prompt, PromptFilter, PromptSetInfo, Services

PER_PAGE = 50
MOST_RUNS = 20
FILTERS = ("label", "topic", "search")
SIDES = ("harmful", "benign", "jailbreak", "unlabelled")


def show(services: Services, visit: Visit) -> View:
    listing = services.prompt_sets.list(limit=PER_PAGE, cursor=visit.query.get("cursor"))
    way = dcc.Link([icon("upload"), "Import prompts"], href=addresses.IMPORT, className="button primary")
    upload = permitted("prompt_sets.write", way)
    body = html.Div(
        [
            html.Div([html.H1("Prompt sets"), upload], className="spread"),
            html.P(
                "A set never changes once it is stored, so a run's prompts are always the ones it was asked.",
                className="lead",
            ),
            _table(listing.items)
            if listing.items
            else empty(
                "No prompt set yet",
                "A CSV, JSONL, JSON or text file becomes one: its columns may be called anything.",
                upload,
            ),
            dcc.Link(
                "Older", href=addresses.with_query(addresses.PROMPT_SETS, {"cursor": listing.next}), className="button"
            )
            if listing.next
            else None,
        ],
        className="page stack-3",
    )
    return View("Prompt sets", body, section="prompt-sets")


PAGE = Page("/prompt-sets", show)


def _table(sets: list[PromptSetInfo]) -> Component:
    columns = [
        Column("Name"),
        Column("Prompts", numeric=True),
        Column("Harmful", numeric=True),
        Column("Benign", numeric=True),
        Column("Unlabelled", numeric=True),
        Column(html.Span(["Pairs ", info("pairs")]), numeric=True),
        Column("Topics", numeric=True),
        Column("From"),
        Column("Stored", numeric=True),
    ]
    return plain_table(columns, [_row(prompts) for prompts in sets], "Prompt sets, newest first")


def _row(prompts: PromptSetInfo) -> list[Component | str]:
    return [
        dcc.Link(prompts.name, href=f"{addresses.PROMPT_SETS}/{prompts.id}", className="row-link"),
        formats.count(prompts.prompts),
        html.Span(formats.count(prompts.harmful), className="harmful"),
        html.Span(formats.count(prompts.benign), className="benign"),
        formats.count(prompts.unlabelled),
        formats.count(prompts.pairs),
        formats.count(len(prompts.topics)),
        "built in" if prompts.source == "builtin" else "upload",
        formats.moment(prompts.created),
    ]


def show_one(services: Services, visit: Visit) -> View:
    """The prompts of one set, their balance and the runs that used them. What is labelled harmful stays covered."""
    prompts = services.prompt_sets.get(visit.params["set_id"])
    which = _filter(**{name: visit.query.get(name) for name in FILTERS})
    offset = int(visit.query["from"]) if visit.query.get("from", "").isdecimal() else 0
    body = html.Div(
        [
            html.Nav(
                html.Ol([html.Li(dcc.Link("Prompt sets", href=addresses.PROMPT_SETS)), html.Li(prompts.name)]),
                className="breadcrumbs",
                **aria(label="Breadcrumbs"),
            ),
            html.Div([html.H1(prompts.name), _audit(prompts)], className="spread"),
            html.P(_counts(prompts), className="lead num"),
            html.P(["SHA-256 ", html.Code(prompts.sha256)], className="dim small wrap"),
            balance_view(services.prompt_sets.balance(prompts.id), "set-balance"),
            html.Section(
                [
                    html.H2("Prompts"),
                    _filters(prompts, which, shows=services.content.shows_prompts),
                    html.Div(_listed(services, prompts.id, which, offset), id="set-prompts", className="stack-2"),
                ],
                className="stack-2",
            ),
            _runs(services, prompts),
        ],
        className="page stack-3",
    )
    return View(prompts.name, body, section="prompt-sets")


ONE = Page("/prompt-sets/{set_id}", show_one)


def _audit(prompts: PromptSetInfo) -> Component | None:
    return new_run_link(addresses.new_run(prompts=prompts.id), look="button primary")


def _counts(prompts: PromptSetInfo) -> str:
    parts = [f"{formats.count(prompts.harmful)} harmful", f"{formats.count(prompts.benign)} benign"]
    parts += [f"{formats.count(prompts.jailbreak)} jailbreak"] if prompts.jailbreak else []
    parts += [f"{formats.count(prompts.unlabelled)} unlabelled"] if prompts.unlabelled else []
    return ", ".join([*parts, formats.plural(prompts.pairs, "pair"), formats.plural(len(prompts.topics), "topic")])


def _filters(prompts: PromptSetInfo, which: PromptFilter, *, shows: bool) -> Component:
    """Label, topic and a search; each stands in the address."""
    sides = {
        "harmful": prompts.harmful,
        "benign": prompts.benign,
        "jailbreak": prompts.jailbreak,
        "unlabelled": prompts.unlabelled,
    }
    return html.Div(
        [
            dmc.Select(
                id="set-label",
                label="Label",
                data=[{"value": name, "label": f"{name} ({formats.count(n)})"} for name, n in sides.items() if n],
                value=which.label,
                clearable=True,
                placeholder="every",
                clearButtonProps={"aria-label": "Every label"},
                w=180,
            ),
            dmc.Select(
                id="set-topic",
                label="Topic",
                data=prompts.topics,
                value=which.topic if which.topic in prompts.topics else None,
                clearable=True,
                searchable=True,
                placeholder="every",
                clearButtonProps={"aria-label": "Every topic"},
                w=220,
            ),
            dmc.TextInput(
                id="set-search",
                label="Search in prompts and ids" if shows else "Search in ids",
                value=which.search or "",
                debounce=400,
                w=260,
            ),
            dcc.Store(id="set-id", data=prompts.id),
            dcc.Store(id="set-address"),
        ],
        className="row row-wide top",
    )


def _prompt_table(services: Services, prompts: list[Prompt], offset: int) -> Component:
    columns = [
        Column("No.", numeric=True),
        Column("Prompt"),
        Column("Label"),
        Column("Topic"),
        Column("Pair"),
        Column("Id"),
    ]
    rows = [
        [
            formats.count(offset + number),
            prompt_text(services.content.prompt(prompt.text), prompt.label, chars=None),
            html.Span(formats.prompt_label(prompt.label, prompt.group), className=prompt.label),
            prompt.topic or formats.NONE,
            prompt.pair_id or formats.NONE,
            prompt.id,
        ]
        for number, prompt in enumerate(prompts, start=1)
    ]
    return plain_table(columns, rows, "Prompts in the file's order")


def _turn(set_id: str, which: PromptFilter, offset: int, count: int) -> Component:
    def link(label: str, start: int) -> Component:
        path = f"{addresses.PROMPT_SETS}/{set_id}"
        query = {"label": which.label, "topic": which.topic, "search": which.search}
        return dcc.Link(
            label, href=addresses.with_query(path, {**query, "from": str(start) if start else None}), className="button"
        )

    last = min(offset + PER_PAGE, count)
    shown = f"{formats.count(offset + 1)}–{formats.count(last)} of {formats.count(count)}" if last > offset else ""
    return html.Div(
        [
            link("Previous", max(0, offset - PER_PAGE)) if offset else None,
            html.Span(shown, className="dim num"),
            link("Next", offset + PER_PAGE) if offset + PER_PAGE < count else None,
        ],
        className="row",
    )


def _filter(label: str | None, topic: str | None, search: str | None) -> PromptFilter:
    """What an address or the fields say; a label that there is not is no filter."""
    return PromptFilter(label if label in SIDES else None, topic or None, (search or "").strip() or None)


def _listed(services: Services, set_id: str, which: PromptFilter, offset: int) -> list[Component]:
    """The prompts that are meant, a page of them."""
    count = services.prompt_sets.count(set_id, which)
    rows = services.prompt_sets.prompts(set_id, PER_PAGE, offset, which)
    if not rows:
        return [html.P("No prompt of this set is like that.", className="dim")]
    return [_prompt_table(services, rows, offset), _turn(set_id, which, offset, count)]


def _runs(services: Services, prompts: PromptSetInfo) -> Component:
    """The runs that asked these prompts, newest first."""
    found = services.runs.list(prompt_set=prompts.id, limit=MOST_RUNS)
    return runs_section(
        found.items,
        found.count,
        "Runs with these prompts",
        "No run has used this set yet.",
        addresses.new_run(prompts=prompts.id),
    )


def register(bind: Binder) -> None:
    """What is filtered for stands in the address too."""
    services = bind.services
    inputs = [Input(f"set-{name}", "value") for name in FILTERS]
    bind.in_browser("rememberPrompts", Output("set-address", "data"), *inputs, prevent_initial_call=True)

    @bind.on(
        Output("set-prompts", "children"),
        *inputs,
        State("set-id", "data"),
        prevent_initial_call=True,
    )
    def filtered(label: str | None, topic: str | None, search: str | None, set_id: str) -> list[Component]:
        return _listed(services, set_id, _filter(label, topic, search), 0)
