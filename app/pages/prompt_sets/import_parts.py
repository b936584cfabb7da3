"""What the import page shows of a file: columns, the words of its labels, first prompts, repeats and balance."""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from app.components import Column, plain_table
from app.components.states import field_error
from app.pages.prompt_sets.balance import balance_view
from app.pages.prompt_sets.text import prompt_text
from backend import formats
from backend.services import ImportPreview

MEANINGS = {"harmful": "harmful", "benign": "benign", "none": ""}
"""A choice on the page → what a mapping says."""
MOST_GROUPS = 8
MOST_FAULTS = 12
MOST_WORDS = 20


def nothing_yet() -> Component:
    return html.P("Drop a file: what it holds will stand here.", className="dim")


def columns_table(found: ImportPreview) -> Component:
    """Every column with some of its cells."""
    columns = [Column("Column"), Column("Some of its cells")]
    rows = [
        [
            html.Strong(column.name),
            html.Details(
                [html.Summary("Show"), *(html.P(sample) for sample in column.samples)], className="reveal samples"
            )
            if column.samples
            else html.Span("hidden on this server" if column.samples is None else "empty", className="dim"),
        ]
        for column in found.columns
    ]
    known = f" It is recognised as {found.known}." if found.known else ""
    text = f"{found.file}: {formats.plural(found.rows, 'row')}, {formats.plural(len(found.columns), 'column')}.{known}"
    return html.Div(
        [html.P(text, id="import-found"), plain_table(columns, rows, "Columns of the file", "table small")],
        className="stack",
    )


def label_words(column: str | None, values: Mapping[str, int], guesses: Mapping[str, str]) -> Component:
    """What each word of the label column means; of a file without one, what every prompt is."""
    if not column:
        fields = [_word("*", "Every prompt is", "none")]
        note = "No column says which prompts are harmful."
    elif not values:
        return field_error(f"Column '{column}' has too many different values to be labels: choose another one.")
    else:
        shown = list(values.items())[:MOST_WORDS]
        fields = [_word(word, _named(word, count), _choice(guesses.get(word))) for word, count in shown]
        if len(values) > MOST_WORDS:
            fields.append(_word("*", f"The {len(values) - MOST_WORDS} other words", None))
        undecided = [word for word, _ in shown if word not in guesses]
        note = "What each word of this column means." + (
            " Those without a choice need one." if undecided else " They were guessed: change what is wrong."
        )
    return html.Div(
        [html.Span("Label words", className="field-label"), html.P(note, className="dim small"),
         html.Div(fields, className="import-selects")],
        className="stack",
    )  # fmt: skip


def _named(word: str, count: int) -> str:
    return f"{word or '(empty)'} × {formats.count(count)}"


def _choice(meaning: str | None) -> str | None:
    return {value: name for name, value in MEANINGS.items()}.get(meaning) if meaning is not None else None


def _word(word: str, label: str, value: str | None) -> Component:
    field: Component = dmc.Select(
        id={"type": "import-word", "word": word},
        label=label,
        data=[
            {"value": "harmful", "label": "harmful"},
            {"value": "benign", "label": "benign"},
            {"value": "none", "label": "without a label"},
        ],
        value=value,
        allowDeselect=False,
        placeholder="choose",
    )
    return field


def preview(found: ImportPreview) -> Component:
    """The first rows as they will be stored, or what is wrong with the file, then the balance."""
    if found.faults:
        return _faults(found)
    return html.Div(
        [
            html.Section([html.H2("First prompts, as they will be stored"), _first(found)], className="stack-2"),
            balance_view(found.balance, "import-balance"),
        ],
        className="stack-3",
    )


def _faults(found: ImportPreview) -> Component:
    shown = [html.Li(str(fault)) for fault in found.faults[:MOST_FAULTS]]
    rest = len(found.faults) - len(shown)
    return html.Section(
        [
            html.H2(f"{formats.plural(len(found.faults), 'place')} in the file cannot be used"),
            html.Ul(shown),
            html.P(f"And {rest} more.", className="dim small") if rest else None,
            html.P("Choose other columns or words above, or mend the file and drop it again.", className="dim small"),
        ],
        className="faults card",
        role="alert",
    )


def _first(found: ImportPreview) -> Component:
    columns = [
        Column("Row", numeric=True),
        Column("Prompt"),
        Column("Label"),
        Column("Topic"),
        Column("Pair"),
        Column("Id"),
    ]
    rows = [
        [
            formats.count(row.row),
            prompt_text(row.text, row.label),
            html.Span(formats.prompt_label(row.label, row.group), className=row.label),
            row.topic or formats.NONE,
            row.pair_id or formats.NONE,
            row.id,
        ]
        for row in found.first
    ]
    return plain_table(columns, rows, "First prompts of the file", "table small")


def alike(found: ImportPreview) -> Component:
    """How many prompts repeat others, and in which rows."""
    repeats = found.duplicates
    if not repeats.groups:
        return html.P("No prompt of the file says the same as another.", className="dim", id="import-repeats")
    counts = (
        f"{formats.plural(repeats.normalised, 'row')} {'says' if repeats.normalised == 1 else 'say'} the same as an "
        "earlier one, "
        f"{formats.count(repeats.exact)} of them letter by letter; "
        f"{formats.plural(repeats.conflicts, 'prompt')} under different labels."
    )
    groups = sorted(repeats.groups, key=lambda group: not group.conflict)
    rows: list[list[Any]] = [
        [
            ", ".join(map(str, group.rows[:12])) + (" …" if len(group.rows) > 12 else ""),
            "letter by letter" if group.exact else "but for case, spacing or form",
            html.Strong("different labels: " + ", ".join(dict.fromkeys(label or "none" for label in group.labels)))
            if group.conflict
            else group.labels[0] or "none",
        ]
        for group in groups[:MOST_GROUPS]
    ]
    more = len(repeats.groups) - len(rows)
    return html.Div(
        [
            html.P(counts, id="import-repeats"),
            plain_table(
                [Column("Rows"), Column("The same"), Column("Label")], rows, "Prompts that say the same", "table small"
            ),
            html.P(f"And {more} more groups.", className="dim small") if more > 0 else None,
        ],
        className="stack",
    )


def summary(found: ImportPreview) -> Component:
    """How much of the file becomes prompts, and why it cannot be imported where it cannot."""
    balance = found.balance
    facts: list[tuple[str, Any]] = [
        ("Prompts", f"{formats.count(found.prompts)} of {formats.plural(found.rows, 'row')}"),
        ("Harmful", html.Span(formats.count(balance.harmful), className="harmful")),
        ("Benign", html.Span(formats.count(balance.benign), className="benign")),
    ]
    facts += [("Jailbreak", formats.count(balance.jailbreak))] if balance.jailbreak else []
    facts += [("Unlabelled", formats.count(balance.unlabelled))] if balance.unlabelled else []
    facts += [("Pairs", formats.count(balance.pairs)), ("Topics", formats.count(len(balance.named)))]
    lines = [html.Div([html.Dt(name), html.Dd(value, className="num")]) for name, value in facts]
    stops = [
        f"{formats.plural(len(found.faults), 'place')} in the file cannot be used." if found.faults else None,
        f"{formats.plural(found.undecided, 'prompt')} under different labels: decide what becomes of them."
        if found.undecided
        else None,
    ]
    return html.Div(
        [
            html.Dl(lines, className="facts"),
            *(field_error(stop) for stop in stops if stop),
            html.Ul([html.Li(note) for note in found.notes], className="warnings") if found.notes else None,
        ],
        className="stack-2",
    )
