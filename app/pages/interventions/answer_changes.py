"""What masking did to the answers of an audit: labels before by labels after, and below them the prompts themselves.

A cell of the matrix and the run's shared selection (topic, label, prompt) narrow the list; all of that, and the page of
the list, stand in the address. static/js/changes.js tells the server when it changes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Input, Output, State, dcc, html
from dash.development.base_component import Component

from app import wording
from app.callbacks import Binder
from app.components import Column, aria, cover, dataset, info, plain_table
from app.components.states import withheld
from app.pages.interventions.answer_matrix import answer_matrices
from backend import formats
from backend.services import (
    AnswerChange,
    AnswerChanges,
    ChangeFilter,
    ExpertScopeError,
    Services,
)

ASKED = ("topic", "label", "prompt", "before", "after", "page")
PAGE_SIZE = 25
Query = Mapping[str, Any]


def answers_by_label(services: Services, run_id: str, query: Query) -> Component:
    """The part of the page; `query` is the address's."""
    asked = {name: query[name] for name in ASKED if query.get(name)}
    return html.Div(
        [
            dcc.Store(id="changes-run", data=run_id),
            dcc.Store(id="changes-asked", data=asked),
            html.Div(shown(services, run_id, asked), id="changes", className="stack-3"),
        ]
    )


def shown(services: Services, run_id: str, query: Query) -> list[Component]:
    """The matrices and the list for one choice; what is wrong with the choice where it is."""
    try:
        chosen = ChangeFilter(*(query.get(name) or None for name in ("topic", "label", "before", "after", "prompt")))
        found = services.results.answer_changes(run_id, chosen)
    except ExpertScopeError as error:
        return [withheld("Answers by label", error.message)]
    return [_tables(found, chosen), _list(run_id, found, chosen, _page(query))]


def _page(query: Query) -> int:
    text = str(query.get("page") or 1)
    return max(1, int(text)) if text.isdecimal() else 1


def _tables(found: AnswerChanges, chosen: ChangeFilter) -> Component:
    where = f"on the topic {chosen.topic}" if chosen.topic else "of the half of the prompts that was not looked at"
    note = (
        f"Answers {where}. Rows: the untouched model; columns: the same prompts with the flagged experts masked. "
        "A click on a cell lists its prompts."
    )
    return answer_matrices(found.tables, note, after="masked", chosen=chosen)


def _list(run_id: str, found: AnswerChanges, chosen: ChangeFilter, page: int) -> Component:
    count = len(found.prompts)
    pages = max(1, -(-count // PAGE_SIZE))
    page = min(page, pages)
    start = PAGE_SIZE * (page - 1)
    title = html.H3([formats.plural(count, "prompt"), *_choice(chosen)], className="row")
    if not count:
        return html.Section([title, html.P("No prompt passes this choice.", className="dim")], className="stack")
    return html.Section(
        [
            title,
            _prompts(run_id, found.prompts[start : start + PAGE_SIZE]),
            _turn(page, pages, start, count) if pages > 1 else None,
        ],
        className="stack",
    )


def _choice(chosen: ChangeFilter) -> list[Component]:
    """What narrows the list, and the button that undoes it."""
    words = [chosen.topic and f"topic {chosen.topic}", chosen.label, chosen.prompt and f"prompt {chosen.prompt}"]
    words += [chosen.before and f"before: {wording.ANSWERS[chosen.before].lower()}"]
    words += [chosen.after and f"masked: {wording.ANSWERS[chosen.after].lower()}"]
    given = [html.Span(word, className="chip") for word in words if word]
    if not given:
        return []
    everything = html.Button("Show all", type="button", className="button quiet small", **dataset(change="all"))
    return [*given, everything]


def _prompts(run_id: str, prompts: Sequence[AnswerChange]) -> Component:
    second = any(one.second_before or one.second_after for one in prompts)
    columns = [
        Column("Prompt"),
        Column("Topic"),
        Column("Label"),
        Column("Before → masked"),
        *([Column(html.Span(["Second judge ", info("second_judge")]))] if second else []),
        Column(html.Span(["Margin before, nats ", info("margin")]), numeric=True),
        Column("Text"),
    ]
    rows = [
        [
            _selects(one.prompt_id, "prompt"),
            _selects(one.topic, "topic") if one.topic else formats.NONE,
            html.Span(one.label, className=one.label),
            _turned(one.before, one.after),
            *([_turned(one.second_before, one.second_after)] if second else []),
            formats.number(one.margin),
            cover(run_id, one.prompt_id),
        ]
        for one in prompts
    ]
    return plain_table(columns, rows, "Prompts and the labels of their answers", "table prompts")


def _selects(value: str, what: str) -> Component:
    return html.Button(
        value, type="button", className="selects wrap", **dataset(select=f"{what}:{value}"), **aria(pressed="false")
    )


def _turned(before: str | None, after: str | None) -> Component:
    shown = [wording.ANSWERS.get(label or "", formats.NONE).lower() for label in (before, after)]
    moved = "moved" if before != after else "dim"
    return html.Span([shown[0], " → ", html.Span(shown[1], className=moved)], className="turned")


def _turn(page: int, pages: int, start: int, count: int) -> Component:
    """The buttons of the list's pages."""
    last = min(count, start + PAGE_SIZE)
    buttons = [
        html.Button(name, type="button", className="button", disabled=not 1 <= to <= pages, **dataset(page=str(to)))
        for name, to in (("Previous", page - 1), ("Next", page + 1))
    ]
    where = html.Span(f"{start + 1} to {last} of {formats.count(count)}", className="dim small num")
    return html.Nav(
        [where, html.Div(buttons, className="row")], className="row pages", **aria(label="Pages of prompts")
    )


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("changes", "children"),
        Input("changes-asked", "data"),
        State("changes-run", "data"),
        prevent_initial_call=True,
    )
    def narrow(asked: dict[str, Any], run_id: str) -> list[Component]:
        return shown(services, run_id, asked)
