"""/ui/prompt-sets: the sets that runs can ask, and the prompts of one of them."""

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, formats
from app.components import Column, aria, icon, info, plain_table
from app.components.states import empty
from app.router import Page, View, Visit
from backend.services import Prompt, PromptSetInfo, Services

PER_PAGE = 50


def show(services: Services, visit: Visit) -> View:
    listing = services.prompt_sets.list(limit=PER_PAGE, cursor=visit.query.get("cursor"))
    upload = dcc.Link([icon("plus"), "New run with a file"], href=addresses.NEW_RUN, className="button")
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
                "A CSV, JSONL, JSON or text file becomes one when a run is started with it.",
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
    """The prompts of one set. Each text is covered until it is opened, because half of a set may be harmful."""
    prompts = services.prompt_sets.get(visit.params["set_id"])
    offset = max(0, int(visit.query.get("from", "0"))) if visit.query.get("from", "0").isdecimal() else 0
    rows = services.prompt_sets.prompts(prompts.id, PER_PAGE, offset)
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
            _prompt_table(rows, offset),
            _turn(prompts, offset),
        ],
        className="page stack-2",
    )
    return View(prompts.name, body, section="prompt-sets")


ONE = Page("/prompt-sets/{set_id}", show_one)


def _audit(prompts: PromptSetInfo) -> Component:
    return dcc.Link([icon("plus"), "New run"], href=addresses.new_run(prompts=prompts.id), className="button primary")


def _counts(prompts: PromptSetInfo) -> str:
    parts = [f"{formats.count(prompts.harmful)} harmful", f"{formats.count(prompts.benign)} benign"]
    parts += [f"{formats.count(prompts.jailbreak)} jailbreak"] if prompts.jailbreak else []
    parts += [f"{formats.count(prompts.unlabelled)} unlabelled"] if prompts.unlabelled else []
    return ", ".join([*parts, formats.plural(prompts.pairs, "pair"), formats.plural(len(prompts.topics), "topic")])


def _prompt_table(prompts: list[Prompt], offset: int) -> Component:
    columns = [Column("No.", numeric=True), Column("Prompt"), Column("Label"), Column("Topic"), Column("Pair")]
    rows = [
        [
            formats.count(offset + number),
            html.Details([html.Summary("Show"), html.P(prompt.text)], className="reveal"),
            html.Span(formats.prompt_label(prompt.label, prompt.group), className=prompt.label),
            prompt.topic or formats.NONE,
            prompt.pair_id or formats.NONE,
        ]
        for number, prompt in enumerate(prompts, start=1)
    ]
    return plain_table(columns, rows, "Prompts in the file's order")


def _turn(prompts: PromptSetInfo, offset: int) -> Component:
    def link(label: str, start: int) -> Component:
        href = addresses.with_query(f"{addresses.PROMPT_SETS}/{prompts.id}", {"from": str(start)})
        return dcc.Link(label, href=href, className="button")

    last = min(offset + PER_PAGE, prompts.prompts)
    shown = f"{formats.count(offset + 1)}–{formats.count(last)} of {formats.count(prompts.prompts)}"
    return html.Div(
        [
            link("Previous", max(0, offset - PER_PAGE)) if offset else None,
            html.Span(shown, className="dim num"),
            link("Next", offset + PER_PAGE) if offset + PER_PAGE < prompts.prompts else None,
        ],
        className="row",
    )
