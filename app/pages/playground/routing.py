"""Where one prompt of the playground was routed: the heatmap of its tokens or its answer's, and, once somebody asks for
the texts, every token with the share of its weight that chosen experts got. Called by `app.pages.playground.page`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import dash_mantine_components as dmc
import numpy as np
from dash import html
from dash.development.base_component import Component

from app import wording
from app.components import Column, graph, info, plain_table
from app.components.tokens import visible
from app.figures import heatmap
from backend import formats
from backend.services import Asked

WINDOWS = {"prompt": "Prompt", "response": "Answer"}
MOST_EXPERTS = 24
Place = tuple[int, int]


def routing(asked: Asked, window: str, flagged: Sequence[Place]) -> Component:
    """The section; `playground-routing` is filled anew when the window changes."""
    switch = dmc.SegmentedControl(
        id="playground-window",
        value=window,
        data=[{"value": value, "label": label} for value, label in WINDOWS.items()],
        size="sm",
    )
    return html.Section(
        [
            html.Div(
                [html.H2(["Experts that it used ", info("frequency")]), switch],
                className="spread",
            ),
            html.Div(picture(asked, window, flagged), id="playground-routing", className="stack"),
        ],
        className="stack-2",
    )


def picture(asked: Asked, window: str, flagged: Sequence[Place]) -> list[Component]:
    answer = asked.answer
    assert answer is not None
    chosen = window if window in WINDOWS else "prompt"
    values = answer.cells("frequency", "response" if chosen == "response" else "prompt")
    tokens = answer.window_tokens[0 if chosen == "prompt" else 2]
    if tokens == 0:
        return [html.P("The answer is empty, so nothing of it was routed.", className="withheld")]
    figure = heatmap(
        values,
        answer.layers,
        range(values.shape[1]),
        quantity="frequency",
        label="selection frequency",
        flagged=flagged,
    )
    where = wording.WINDOW_NOTES[chosen]
    text = f"Selection frequency by layer and expert over {where}"
    caption = f"{formats.plural(tokens, 'token')} ({where}); each selects {answer.top_k} experts a layer."
    if flagged:
        caption += " Outlined: experts that the audit flagged."
    return [
        graph(figure, f"{asked.question.id}-{chosen}", text, id="playground-heatmap"),
        html.P(caption, className="dim small"),
    ]


@dataclass(frozen=True)
class Shading:
    """What tokens can be shaded by: a set of experts under a name."""

    key: str
    name: str
    experts: tuple[Place, ...]


def shadings(asked: Asked, flagged: Sequence[Place], selected: Sequence[Place] = ()) -> list[Shading]:
    """The flagged experts, those selected elsewhere, then the experts that worked most on this prompt and answer."""
    answer = asked.answer
    assert answer is not None
    found = []
    if flagged:
        found.append(Shading("flagged", f"Flagged experts ({len(flagged)})", tuple(flagged)))
    known = [place for place in selected if place[0] in answer.layers]
    if known:
        found.append(Shading("selected", f"Selected experts ({len(known)})", tuple(known)))
    load = answer.tokens.load()
    for index in np.argsort(-load, axis=None, kind="stable")[:MOST_EXPERTS]:
        row, expert = divmod(int(index), load.shape[1])
        if load[row, expert] > 0:
            place = (answer.layers[row], expert)
            found.append(Shading(f"{place[0]}.{expert}", formats.place(*place), (place,)))
    return found


def strip(asked: Asked, shading: Shading) -> Component:
    """Prompt and answer as tokens, each with an underline as tall as the share of its weight; the same in a table."""
    answer = asked.answer
    assert answer is not None
    trace = answer.tokens
    layer = shading.experts[0][0] if len({layer for layer, _ in shading.experts}) == 1 else None
    shares = trace.mass(shading.experts, layer)
    most = float(np.nanmax(shares)) if (~np.isnan(shares)).any() else 0.0
    rows = list(zip(trace.tokens, trace.parts, shares.tolist(), strict=True))
    colour = "token-flagged" if shading.key == "flagged" else "token-plain"
    asked_part = [_chip(text, part, share, most) for text, part, share in rows if part != "response"]
    answered = [_chip(text, part, share, most) for text, part, share in rows if part == "response"]
    return html.Div(
        [
            html.H3("Prompt"),
            html.Div(asked_part, className=f"token-line {colour}"),
            html.H3("Answer"),
            html.Div(answered, className=f"token-line {colour}") if answered else html.P("(empty)", className="dim"),
            html.P(_scale(most, shading.name, layer), className="dim small"),
            html.Details([html.Summary("As a table"), _table(rows, shading.name)], className="more"),
        ],
        className="stack",
    )


def _scale(most: float, name: str, layer: int | None) -> str:
    where = f"in layer {layer}" if layer is not None else "averaged over all layers"
    template = "Dashed tokens belong to the chat template."
    if most <= 0:
        return f"No token gave any weight to {_inside(name)}, {where}. {template}"
    return (
        f"An underline is the share of a token's weight that {_inside(name)} got, {where}; the tallest is "
        f"{formats.percent(most)}. {template}"
    )


def _inside(name: str) -> str:
    """A shading's name within a sentence; an expert's stays "L2·E5"."""
    return name if name.startswith("L") else name[0].lower() + name[1:]


def _chip(text: str, part: str, share: float, most: float) -> Component:
    known = not math.isnan(share)
    return html.Span(
        visible(text) if text else "…",
        className=f"tok pg-token {part}" if known else f"tok pg-token {part} unrouted",
        style={"--w": f"{share / most:.3f}" if known and most > 0 else "0"},
        title=formats.percent(share) if known else "not routed",
    )


def _table(rows: Sequence[tuple[str, str, float]], name: str) -> Component:
    columns = [Column("Token"), Column("Part"), Column(f"Share of {_inside(name)}", numeric=True)]
    cells = [
        [html.Code(visible(text) if text else "…", className="token"), part, formats.percent(share)]
        for text, part, share in rows
    ]
    return plain_table(columns, cells, f"Share of each token's weight that {_inside(name)} got")
