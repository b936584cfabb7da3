"""What the new-run page says at its right: what will run, what it takes, what it can tell, what is in its way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import html
from dash.development.base_component import Component

from app.components import info
from app.components.states import field_error
from app.pages.new_run.kind import chosen_facts
from app.pages.prompt_sets.preview import Chosen
from backend import formats
from backend.services import Cost, Estimate, ModelInfo, Resolution


@dataclass(frozen=True)
class Asked:
    """The form as far as it is filled in. `stops` says why no run can be started with it."""

    kind: str
    preset: str
    seed: Any
    experts: str | None
    model: ModelInfo | None
    chosen: Chosen | None
    estimate: Estimate | None
    stops: Sequence[str]


def summary(asked: Asked) -> Component:
    """Facts, then what stops the run, then what it will leave open."""
    facts: list[tuple[Any, Any]] = [
        *chosen_facts(asked.kind, asked.experts),
        ("Model", asked.model.name if asked.model else formats.NONE),
    ]
    if asked.chosen:
        facts += _prompts(asked.chosen)
    facts.append(("Depth", f"{asked.preset}, seed {asked.seed}"))
    if asked.estimate:
        facts += _cost(asked.estimate, asked.kind)
    lines = [html.Div([html.Dt(name), html.Dd(value, className="num")]) for name, value in facts]
    told = asked.estimate.warnings if asked.estimate else []
    warnings = [html.Li(one.text) for one in told if not one.stops]
    return html.Div(
        [
            html.Dl(lines, className="facts"),
            html.Div([field_error(stop) for stop in asked.stops], className="stack") if asked.stops else None,
            html.Ul(warnings, className="warnings") if warnings else None,
        ],
        className="stack-2",
    )


def _prompts(chosen: Chosen) -> list[tuple[Any, Any]]:
    balance = chosen.balance
    labels = [
        html.Span(f"{formats.count(balance.harmful)} harmful", className="harmful"),
        ", ",
        html.Span(f"{formats.count(balance.benign)} benign", className="benign"),
    ]
    facts: list[tuple[Any, Any]] = [("Prompts", formats.count(balance.prompts)), ("By label", labels)]
    facts += [("Jailbreaks", formats.count(balance.jailbreak))] if balance.jailbreak else []
    facts += [
        ("Matched pairs", formats.count(balance.pairs)),
        ("Topics", formats.count(len(balance.named))),
    ]
    return facts


def _cost(estimate: Estimate, kind: str) -> list[tuple[Any, Any]]:
    cost = estimate.cost
    facts: list[tuple[Any, Any]] = [
        (
            html.Span(["Time ", info("estimated_time")]),
            [time_of(cost), html.Span(cost.basis_text, className="dim small block")],
        ),
        (html.Span(["Memory ", info("estimated_memory")]), memory_of(cost)),
    ]
    if kind != "trace":
        facts.append((html.Span(["Refusal rate ", info("resolution")]), _resolved(estimate.resolution)))
    if estimate.needed is not None:
        facts.append(("Needed", formats.plural(estimate.needed, "harmful prompt")))
    if estimate.waiting:
        facts.append(("Before it", formats.plural(estimate.waiting, "run")))
    return facts


def time_of(cost: Cost) -> str:
    """ "about 3 min 20 s", or that nobody knows."""
    return "not known" if cost.seconds is None else f"about {rounded(cost.seconds)}"


def memory_of(cost: Cost) -> str:
    """ "about 1.2 GB" and what the machine has, where that is known."""
    has = f" of {gigabytes(cost.memory_total_bytes)}" if cost.memory_total_bytes else ""
    return f"about {gigabytes(cost.memory_bytes)}{has}"


def rounded(seconds: float) -> str:
    """A duration to two figures at most: an estimate has no more."""
    for step, upto in ((1, 20), (5, 60), (30, 600), (60, 3_600), (600, 36_000)):
        if seconds <= upto:
            return formats.seconds(max(step, step * round(seconds / step)))
    return formats.seconds(3_600 * round(seconds / 3_600))


def gigabytes(value: int) -> str:
    """ "0.71 GB", "25 GB"."""
    return f"{formats.number(value / 1e9, 2)} GB"


def _resolved(found: Resolution | None) -> str:
    """How narrow the interval of a refusal rate can be at this size."""
    if found is None:
        return formats.NONE
    alike = f", ± {100 * found.alike:.0f} where a topic's prompts are much alike" if found.alike else ""
    return f"± {100 * found.half_width:.0f} points at {formats.plural(found.harmful, 'harmful prompt')}{alike}"


def costs(found: Mapping[str, Cost], presets: Sequence[str]) -> list[Component | None]:
    """For each preset's card what it takes."""
    return [
        html.Span(f"{time_of(found[name])} · {memory_of(found[name])}", className="num") if name in found else None
        for name in presets
    ]
