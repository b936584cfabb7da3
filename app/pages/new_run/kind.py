"""What the new-run page asks beside model, prompts and depth: the kind of run, and what only that kind has."""

from collections.abc import Collection, Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from app import wording
from app.components import info
from app.router import Visit
from backend import formats
from backend.services import RunKind
from backend.services.run_parameters import NEED_EXPERTS, PARAMETERS, Choice, Whole, parse_experts

KINDS = tuple(wording.KINDS)
FIELDS = ("mode", "window", "detector", "direction", "recipe", "rank", "steps", "controls")
"""Ids of the fields that single kinds have beside experts, without their "new-"; each is a parameter's name."""
LABELS = {
    "mode": "What is done to them",
    "window": "When",
    "detector": "What is read",
    "direction": "Direction",
    "recipe": "Recipe of hardening",
    "rank": "Rank",
    "steps": "Steps",
    "controls": "Matched sets",
}


NAMES = {"lora": "LoRA", "rasa": "RASA", "safemoe": "SafeMoE"}
"""Names that are spelt otherwise than other choices."""
STRESS_IS_OFF = (
    "Stress is off here: whoever runs this installation can allow it with EXPERTSCOPE_ALLOW_STRESS_TUNING. It measures "
    "how little tuning takes refusal away, writes nothing down but labels and digests, and leaves an audit record."
)


def kind_of(visit: Visit) -> str:
    """The kind that the address names, else an audit."""
    wanted = visit.query.get("kind", "audit")
    return wanted if wanted in KINDS else "audit"


def kind_choice(kind: str) -> Component:
    options = [
        dmc.Radio(iconColor="var(--on-accent)", value=name, label=label, description=note)
        for name, (label, note) in wording.KINDS.items()
    ]
    choice: Component = dmc.RadioGroup(
        html.Div(options, className="kinds"), id="new-kind", value=kind, label="Kind of run"
    )
    return choice


def own_fields(kind: str, visit: Visit, *, stress: bool) -> Component:
    """Every kind's own fields; the style sheet shows those of the kind that is chosen.

    `stress` says whether this installation allows stress tuning.
    """
    tune = PARAMETERS["tune"]
    return html.Div(
        [
            html.Div(_experts(visit), className="stack for-mask for-tune"),
            html.Div([_choice(name, "mask", visit) for name in ("mode", "window")], className="stack-2 for-mask"),
            html.Div(_choice("detector", "detect", visit), className="stack-2 for-detect"),
            html.Div(
                [
                    _choice("direction", "tune", visit, closed=() if stress else ("stress",)),
                    None if stress else html.P(STRESS_IS_OFF, className="dim small"),
                    _choice("recipe", "tune", visit),
                    html.Div(
                        [_number(name, tune[name], visit) for name in ("rank", "steps", "controls")],
                        className="row row-wide top",
                    ),
                ],
                className="stack-2 for-tune",
            ),
        ],
        id="new-own",
        className=own_class(kind),
    )


def own_class(kind: str | None) -> str:
    return f"own own-{kind or 'audit'} stack-2"


def _experts(visit: Visit) -> Component:
    return html.Div(
        [
            dmc.TextInput(
                id="new-experts",
                label=html.Span(["Experts ", info("experts_named")]),
                description="Pairs of layer and expert. An audit's pages fill this in for you.",
                placeholder="1:7, 2:5",
                value=_shown(visit.query.get("experts")),
                spellCheck=False,
                autoComplete="off",
            ),
            dcc.Store(id="new-experts-from", data=visit.query.get("experts_from")),
        ],
        className="stack",
    )


def _shown(experts: str | None) -> str:
    return (experts or "").replace(",", ", ")


def _number(name: str, known: object, visit: Visit) -> Component:
    assert isinstance(known, Whole)
    wanted = visit.query.get(name, "")
    field: Component = dmc.NumberInput(
        id=f"new-{name}",
        label=LABELS[name],
        value=int(wanted) if wanted.isdecimal() else "",
        placeholder="as the preset",
        min=known.low,
        max=known.high,
        allowDecimal=False,
        allowNegative=False,
        w=150,
    )
    return field


def _choice(name: str, kind: RunKind, visit: Visit, closed: Collection[str] = ()) -> Component:
    known = PARAMETERS[kind][name]
    assert isinstance(known, Choice)
    wanted = visit.query.get(name)
    radios = [
        dmc.Radio(
            iconColor="var(--on-accent)", value=value, label=words(value), description=note, disabled=value in closed
        )
        for value, note in known.allowed.items()
    ]
    group: Component = dmc.RadioGroup(
        html.Div(radios, className="stack"),
        id=f"new-{name}",
        value=wanted if wanted in known.allowed and wanted not in closed else known.default,
        label=LABELS[name],
    )
    return group


def words(value: str) -> str:
    """ "mask_zero" as "Mask zero"."""
    return NAMES.get(value) or value.replace("_", " ").capitalize()


def parameters(kind: str, form: Mapping[str, Any]) -> dict[str, Any]:
    """What the form says of the kind's own parameters; a field that another kind owns is left out.

    Raises InputError for experts that cannot be read.
    """
    own = PARAMETERS[kind]  # type: ignore[index]
    found = {name: form[name] for name in own if form.get(name) not in (None, "")}
    if found.get("direction") == "stress":
        found.pop("recipe", None)
    if kind in NEED_EXPERTS:
        found["experts"] = parse_experts(form.get("experts") or "")
    return found


def chosen_facts(kind: str, experts: str | None) -> list[tuple[str, Any]]:
    """What the summary says of the kind."""
    facts: list[tuple[str, Any]] = [("Kind", wording.KINDS[kind][0])]
    if kind in NEED_EXPERTS:
        facts.append(("Experts", (experts or "").strip() or formats.NONE))
    return facts
