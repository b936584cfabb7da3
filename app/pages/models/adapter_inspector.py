"""What a PEFT adapter changes: shown of a run's own adapter, and of any folder on the models page."""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, html
from dash.development.base_component import Component

from app.callbacks import Binder
from app.components import Column, aria, plain_table
from app.components.states import field_error
from app.pages.run.report import facts_list
from backend import formats
from backend.services import ExpertScopeError

ROUTERS = {
    "unchanged": "The routers do not move.",
    "changed": "The routers move: which experts are chosen changes with this adapter.",
    "unknown": "It holds router weights in a form that is not understood here.",
}
MOST_EXPERTS = 40
MOST_PARTS = 60


def inspection(found: Mapping[str, Any]) -> Component:
    """An `AdapterInspection` as a dictionary: routers first, then what is touched, module by module."""
    places = [formats.place(layer, expert) for layer, expert in found["experts"]]
    more = f" and {len(places) - MOST_EXPERTS} more" if len(places) > MOST_EXPERTS else ""
    effective, stored = (formats.count(found[name]) for name in ("effective_parameters", "parameters"))
    facts: list[tuple[str, Any]] = [
        ("Experts changed", (", ".join(places[:MOST_EXPERTS]) or "none") + more),
        ("Layers", ", ".join(map(str, found["layers"])) or "none"),
        ("Projections", ", ".join(found["projections"]) or "none"),
        ("Parameters", f"{effective} in updates that are not zero, of {stored} stored"),
        ("Method", f"{found['type']}, rank {found['rank'] or formats.NONE}"),
        ("Base model", found["base_model"] or "not said"),
        ("Held against", found["checked_against"] or "nothing: names alone tell what is what"),
    ]
    return html.Div(
        [
            html.P(html.Strong(ROUTERS.get(found["routers"], ROUTERS["unknown"]))),
            facts_list(facts),
            _parts(found["parts"]),
            *[html.P(note, className="dim") for note in found["notes"]],
        ],
        className="stack-2",
    )


def _parts(parts: list[Mapping[str, Any]]) -> Component:
    columns = [
        Column("Module"),
        Column("Kind"),
        Column("Layer", numeric=True),
        Column("Experts changed", numeric=True),
        Column("Norm of the update", numeric=True),
        Column("Parameters", numeric=True),
    ]
    rows = [
        [
            html.Div(html.Code(part["module"], className="wrap"), className="contestant"),
            part["kind"],
            formats.NONE if part["layer"] is None else str(part["layer"]),
            formats.NONE if part["experts"] is None else f"{part['changed']} of {part['experts']}",
            formats.number(part["norm"]),
            formats.count(part["effective"]),
        ]
        for part in parts[:MOST_PARTS]
    ]
    table = plain_table(columns, rows, "Modules that the adapter has weights for", "table small")
    left = len(parts) - MOST_PARTS
    return html.Div([table, html.P(f"And {left} more modules.", className="dim small") if left > 0 else None])


def adapter_form() -> Component:
    return html.Div(
        [
            html.Div(
                [
                    dmc.TextInput(
                        id="adapter-folder",
                        label="Adapter folder",
                        description="A folder on the server that PEFT's save_pretrained made",
                        placeholder="/models/adapters/mine",
                        spellCheck=False,
                        autoComplete="off",
                    ),
                    dmc.TextInput(
                        id="adapter-model",
                        label="Held against",
                        description="Optional: a model's id or reference",
                        placeholder="organism:planted",
                        spellCheck=False,
                        autoComplete="off",
                    ),
                    html.Button("Look into it", id="adapter-inspect", type="button", className="button"),
                ],
                className="register-fields",
            ),
            html.Div(id="adapter-found", **aria(live="polite")),
        ],
        className="stack-2",
    )


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("adapter-found", "children"),
        Input("adapter-inspect", "n_clicks"),
        State("adapter-folder", "value"),
        State("adapter-model", "value"),
        running=[
            (Output("adapter-inspect", "disabled"), True, False),
            (Output("adapter-inspect", "children"), "Reading…", "Look into it"),
        ],
        prevent_initial_call=True,
    )
    def look(clicks: int | None, folder: str | None, model: str | None) -> Any:
        if not clicks:
            return ""
        try:
            found = services.adapters.inspect(folder or "", model or None)
        except ExpertScopeError as error:
            return field_error(error.message)
        return html.Div([html.H3(found["name"]), inspection(found)], className="stack-2")
