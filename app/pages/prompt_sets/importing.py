"""/ui/prompt-sets/import: a file becomes a prompt set. What its columns and words mean is said here, and seen at once.

The file stays in the browser and is read anew at every change; nothing is stored until Import is pressed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, dcc, html, no_update, set_props
from dash.development.base_component import Component

from app import addresses
from app.callbacks import Binder
from app.components import PROMPT_FILES, aria, file_drop, info
from app.components.permitted import reads_only_page
from app.pages.prompt_sets import import_parts as parts
from app.pages.prompt_sets.preview import decode, faults_list
from app.router import Page, View, Visit
from backend.services import ExpertScopeError, ImportOptions, Services, guess_labels, import_options, may

COLUMNS = ("prompt", "label", "topic", "pair_id", "id", "group")
KEPT = {
    "normalised": ("Leave out what says the same", "Without regard to case, spacing and compatibility forms (NFKC)."),
    "exact": ("Leave out exact repeats", "Equal letter by letter."),
    "keep": (
        "Keep every prompt",
        "Repeats count as prompts of their own, and make intervals look narrower than they are.",
    ),
}
CONFLICTS = {
    "refuse": ("Not decided", "Nothing is imported while there are any."),
    "first": ("Keep the first", "Under the label that it has there."),
    "leave_out": ("Leave out all of them", "No prompt with two labels is used."),
    "keep": ("Keep all of them", "Under each of their labels."),
}


def show(services: Services, visit: Visit) -> View:
    if not may("prompt_sets.write"):
        back = dcc.Link("Prompt sets", href=addresses.PROMPT_SETS, className="button")
        return View("Import prompts", reads_only_page("Import prompts", "Storing prompts", back))
    body = html.Div(
        [
            html.Nav(
                html.Ol([html.Li(dcc.Link("Prompt sets", href=addresses.PROMPT_SETS)), html.Li("Import")]),
                className="breadcrumbs",
                **aria(label="Breadcrumbs"),
            ),
            html.Div(html.H1("Import prompts"), className="page-head"),
            html.P("Nothing is stored before Import is pressed.", className="lead"),
            html.Div(
                [
                    html.Div([_file(), _reading(), _duplicates(), html.Div(id="import-preview")], className="stack-3"),
                    html.Aside(
                        [
                            html.H2("What will be stored"),
                            html.Div(parts.nothing_yet(), id="import-summary", **aria(live="polite")),
                            dmc.TextInput(id="import-name", label="Name", placeholder="The file's"),
                            html.Button(
                                "Import", id="import-go", type="button", className="button primary wide", disabled=True
                            ),
                            html.Div(id="import-message", **aria(live="polite")),
                        ],
                        className="summary",
                        **aria(label="What will be stored"),
                    ),
                ],
                className="new-run importing",
                id="import-page",
            ),
            dcc.Store(id="import-look"),
        ],
        className="page",
    )
    return View("Import prompts", body, section="prompt-sets")


PAGE = Page("/prompt-sets/import", show)


def _file() -> Component:
    return html.Section(
        [
            html.H2([html.Span("1", className="ordinal"), "File"]),
            file_drop("import-upload", *PROMPT_FILES),
            html.Div(id="import-faults", **aria(live="polite")),
            html.Div(id="import-columns"),
        ],
        className="card stack-2",
    )


def _reading() -> Component:
    """Which column is which, and what the words of the label column mean."""
    return html.Section(
        [
            html.H2([html.Span("2", className="ordinal"), "Columns and labels"]),
            html.Div(
                dmc.RadioGroup(
                    html.Div(
                        [
                            dmc.Radio(
                                iconColor="var(--on-accent)",
                                value="known",
                                label="As the set that it is",
                                description="By the rules of the recognised set: its labels, topics and pairs.",
                            ),
                            dmc.Radio(
                                iconColor="var(--on-accent)",
                                value="columns",
                                label="By the columns below",
                                description="You say which column is which.",
                            ),
                        ],
                        className="kinds",
                    ),
                    id="import-reading",
                    value="columns",
                    label="How to read it",
                ),
                id="import-known",
                className="import-known",
            ),
            html.Div([_column(name) for name in COLUMNS], className="import-selects"),
            html.Div(id="import-labels"),
        ],
        className="card stack-2 import-later",
    )


def _column(name: str) -> Component:
    words = {
        "prompt": ("Prompt", "the text that the model is asked"),
        "label": ("Label", "harmful or benign, in whatever words"),
        "topic": ("Topic", "what it is about"),
        "pair_id": ("Pair", "joins a harmful prompt to its benign twin"),
        "id": ("Id", "made up where there is none"),
        "group": ("Group", "regular or jailbreak"),
    }
    label, note = words[name]
    field: Component = dmc.Select(
        id=f"import-column-{name}",
        label=label,
        description=note,
        data=[],
        value=None,
        clearable=name != "prompt",
        allowDeselect=name != "prompt",
        searchable=True,
        placeholder="none",
        clearButtonProps={"aria-label": f"No column for {label.lower()}"},
    )
    return field


def _duplicates() -> Component:
    return html.Section(
        [
            html.H2([html.Span("3", className="ordinal"), "Repeated prompts ", info("duplicates")]),
            _radios("import-duplicates", "Prompts that say the same", KEPT, "normalised"),
            html.Div(
                _radios("import-conflicts", "The same prompt under different labels", CONFLICTS, "refuse"),
                id="import-conflicted",
                hidden=True,
            ),
            html.Div(id="import-alike"),
        ],
        className="card stack-2 import-later",
    )


def _radios(name: str, label: str, choices: Mapping[str, tuple[str, str]], value: str) -> Component:
    group: Component = dmc.RadioGroup(
        html.Div(
            [
                dmc.Radio(iconColor="var(--on-accent)", value=key, label=words, description=note)
                for key, (words, note) in choices.items()
            ],
            className="kinds",
        ),
        id=name,
        value=value,
        label=label,
    )
    return group


def register(bind: Binder) -> None:
    _register_file(bind)
    _register_preview(bind)
    _register_import(bind)


def _register_file(bind: Binder) -> None:
    """A dropped file shows its columns, and the fields take what they most likely are."""
    services = bind.services

    @bind.on(
        output={
            "faults": Output("import-faults", "children"),
            "columns": Output("import-columns", "children"),
            "look": Output("import-look", "data"),
            "page": Output("import-page", "className"),
            "reading": Output("import-reading", "value"),
            "name": Output("import-name", "value"),
            "options": {name: Output(f"import-column-{name}", "data") for name in COLUMNS},
            "values": {name: Output(f"import-column-{name}", "value") for name in COLUMNS},
        },
        inputs={"contents": Input("import-upload", "contents"), "filename": State("import-upload", "filename")},
        prevent_initial_call=True,
    )
    def look(contents: str | None, filename: str | None) -> dict[str, Any]:
        if not contents:
            return _nothing(no_update)
        try:
            found = services.prompt_sets.preview(decode(contents), filename or "upload")
        except ExpertScopeError as error:
            return _nothing(faults_list(error))
        guess = found.mapping["columns"] if found.mapping else {}
        offered = [{"value": column.name, "label": column.name} for column in found.columns]
        known = " import-is-known" if found.known else ""
        return {
            "faults": None,
            "columns": parts.columns_table(found),
            "look": {"known": found.known, "words": {column.name: column.values for column in found.columns}},
            "page": f"new-run importing import-read{known}",
            "reading": "known" if found.known else "columns",
            "name": found.name,
            "options": dict.fromkeys(COLUMNS, offered),
            "values": {name: guess.get(name) for name in COLUMNS},
        }

    @bind.on(
        Output("import-labels", "children"),
        Input("import-column-label", "value"),
        Input("import-look", "data"),
        Input("import-reading", "value"),
        prevent_initial_call=True,
    )
    def words(column: str | None, look: Mapping[str, Any] | None, reading: str | None) -> Any:
        """A choice for each word of the label column, or one for every prompt."""
        if not look or (reading == "known" and look["known"]):
            return None
        values = look["words"].get(column) or {} if column else {}
        return parts.label_words(column, values, guess_labels(column, values) if column else {})


def _nothing(faults: Any) -> dict[str, Any]:
    """No file that can be used: its faults, and the rest of the page put away."""
    keep = faults is no_update
    return {
        "faults": faults,
        "columns": no_update if keep else None,
        "look": no_update if keep else None,
        "page": no_update if keep else "new-run importing",
        "reading": no_update,
        "name": no_update,
        "options": dict.fromkeys(COLUMNS, no_update),
        "values": dict.fromkeys(COLUMNS, no_update),
    }


def _form(maker: type[Input] | type[State]) -> dict[str, Any]:
    """Everything that decides how the file is read."""
    return {
        "reading": maker("import-reading", "value"),
        "columns": {name: maker(f"import-column-{name}", "value") for name in COLUMNS},
        "meanings": maker({"type": "import-word", "word": ALL}, "value"),
        "words": State({"type": "import-word", "word": ALL}, "id"),
        "duplicates": maker("import-duplicates", "value"),
        "conflicts": maker("import-conflicts", "value"),
        "look": maker("import-look", "data"),
    }


FILE = {name: State("import-upload", name) for name in ("contents", "filename")}


def _register_preview(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        output={
            "preview": Output("import-preview", "children"),
            "summary": Output("import-summary", "children"),
            "alike": Output("import-alike", "children"),
            "conflicted": Output("import-conflicted", "hidden"),
            "rests": Output("import-go", "disabled"),
        },
        inputs={"form": _form(Input), "file": FILE},
        prevent_initial_call=True,
    )
    def preview(form: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
        if not form["look"] or not file["contents"]:
            return {"preview": None, "summary": parts.nothing_yet(), "alike": None, "conflicted": True, "rests": True}
        try:
            options = _options(form)
            found = services.prompt_sets.preview(decode(file["contents"]), file["filename"], options)
        except ExpertScopeError as error:
            told = faults_list(error)
            return {"preview": told, "summary": None, "alike": None, "conflicted": no_update, "rests": True}
        return {
            "preview": parts.preview(found),
            "summary": parts.summary(found),
            "alike": parts.alike(found),
            "conflicted": not found.duplicates.conflicts,
            "rests": bool(found.faults or found.undecided or not found.prompts),
        }


def _register_import(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        output=Output("import-message", "children"),
        inputs={
            "clicks": Input("import-go", "n_clicks"),
            "form": _form(State),
            "file": FILE,
            "name": State("import-name", "value"),
        },
        running=[
            (Output("import-go", "disabled"), True, False),
            (Output("import-go", "children"), "Importing…", "Import"),
        ],
        prevent_initial_call=True,
    )
    def store(clicks: int | None, form: Mapping[str, Any], file: Mapping[str, Any], name: str | None) -> Any:
        if not clicks or not file["contents"]:
            return no_update
        try:
            options = _options(form)
            stored = services.prompt_sets.create(decode(file["contents"]), file["filename"], name, options)
        except ExpertScopeError as error:
            return faults_list(error)
        # Not an output: one that was there before the page would have Dash call this when the page appears, and
        # `running` would then let go of a button that nothing can be imported with yet.
        set_props("address", {"href": f"{addresses.PROMPT_SETS}/{stored.id}"})
        return None


def _options(form: Mapping[str, Any]) -> ImportOptions:
    """What the form says. Raises InputError where no column is named for the prompts."""
    known = form["reading"] == "known" and form["look"]["known"]
    columns = None if known else {name: column for name, column in form["columns"].items() if column} or {"label": ""}
    words = {} if known else words_of(form["words"] or [], form["meanings"] or [])
    return import_options(columns, words, form["duplicates"], form["conflicts"])


def words_of(names: Sequence[Mapping[str, str]], meanings: Sequence[str | None]) -> dict[str, str]:
    """The words of the label column with what each is taken for, "" for a prompt without a label. A word that nobody
    has decided about is left out."""
    chosen = zip(names, meanings, strict=True)
    return {name["word"]: parts.MEANINGS[meaning] for name, meaning in chosen if meaning}
