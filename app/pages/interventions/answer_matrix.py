"""Answers before and after a change of the model, by label: a small matrix for harmful prompts and one for benign
ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from app import wording
from app.components import aria, dataset, info
from app.selection import LABELS
from backend import formats
from backend.services import ChangeFilter, LabelRate, Transition, Transitions


def answer_matrices(
    tables: Mapping[str, Transitions], note: str, *, after: str = "after", chosen: ChangeFilter | None = None
) -> Component:
    """Both side by side, with the same rows and columns: labels that no answer has are left out.

    `after` is the word for the changed model. With `chosen`, what a list beside it is narrowed to, cells are buttons
    that narrow it (static/js/changes.js).
    """
    seen = {one.label for table in tables.values() for one in table.rates if one.before or one.after}
    names = [name for name in wording.ANSWERS if name in seen]
    parts = [_matrix(label, tables[label], names, after, chosen) for label in LABELS]
    return html.Div([html.Div(parts, className="changes"), html.P(note, className="dim small")], className="stack")


def _matrix(label: str, table: Transitions, names: Sequence[str], after: str, chosen: ChangeFilter | None) -> Component:
    moved = f"{formats.count(table.changed)} of {formats.count(table.prompts)} answered otherwise"
    named = html.Span(label.capitalize(), className=label)
    title = html.H3([named, f" prompts, {moved} ", info("answers_by_label")])
    if not table.prompts:
        return html.Section([title, html.P("None was answered twice.", className="dim")], className="stack")
    rates: dict[str, LabelRate] = {rate.label: rate for rate in table.rates}
    cells: dict[tuple[str, str], Transition] = {(cell.before, cell.after): cell for cell in table.cells}
    head = [html.Th(f"Before → {after}", scope="col")]
    head += [html.Th([wording.ANSWERS[name], _total(rates[name].after, table.prompts)], scope="col") for name in names]
    body = [
        html.Tr(
            [
                html.Th([wording.ANSWERS[before], _total(rates[before].before, table.prompts)], scope="row"),
                *(html.Td(_cell(label, cells[before, name], chosen)) for name in names),
            ]
        )
        for before in names
        if rates[before].before
    ]
    words = f"Answers to {label} prompts by label, before and {after}"
    box = html.Table(
        [html.Caption(words, className="sr-only"), html.Thead(html.Tr(head)), html.Tbody(body)],
        className="change-table",
    )
    region = html.Div(box, className="table-box", tabIndex=0, role="region", **aria(label=words))
    return html.Section([title, region], className="stack")


def _total(count: int, of: int) -> Component:
    return html.Span(f"{formats.count(count)} of {formats.count(of)}", className="change-total num")


def _cell(label: str, cell: Transition, chosen: ChangeFilter | None) -> Component:
    if not cell.count:
        return html.Span("0", className="change-none num")
    share = formats.rate(vars(cell.share))
    look: dict[str, Any] = {
        "className": "change num" if cell.before == cell.after else "change num moved",
        "style": {"--amount": f"{round(40 * (cell.share.estimate or 0))}%"},
    }
    inside = [html.Strong(formats.count(cell.count)), html.Span(str(share), className="small")]
    if chosen is None:
        return html.Div(inside, **look)
    pressed = (chosen.label, chosen.before, chosen.after) == (label, cell.before, cell.after)
    words = f"{label}, {cell.before} to {cell.after}: {formats.plural(cell.count, 'prompt')}, {share}"
    return html.Button(
        inside,
        type="button",
        **look,
        **dataset(change=f"{label}:{cell.before}:{cell.after}"),
        **aria(label=words, pressed=str(pressed).lower()),
    )
