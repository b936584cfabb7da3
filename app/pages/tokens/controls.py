"""The controls of the tokens page, and the words around them."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from app import addresses
from app.components import aria, icon
from app.components.permitted import new_run_link
from app.components.states import empty, withheld
from app.pages.tokens.look import Look, Ranked
from backend import formats
from backend.services import RunInfo, TracedPrompt

WAYS = {"mass": "Refusal-relevant mass", "ranked": "Highest-ranked experts", "expert": "One expert"}
MOST_PROMPTS = 1_000
"""Prompts to choose from at once; topic and label in the address narrow them."""


def nothing(run: RunInfo) -> Component:
    """For a run from before tokens were kept."""
    again = addresses.new_run(run.model.id, run.prompt_set.id)
    return empty(
        "This run kept no tokens",
        "Here each token of a prompt and its answer shows which experts worked on it. A run made before tokens were "
        "kept has none; a new one on the same model and prompts will.",
        new_run_link(again, "Run it again", "button primary"),
    )


def kept(run: RunInfo, prompts: Sequence[TracedPrompt]) -> str:
    """Which prompts there are to look at."""
    if len(prompts) == run.prompt_set.prompts:
        return f"All {formats.count(len(prompts))} prompts of the set were kept token by token."
    some = f"{formats.count(len(prompts))} of {formats.plural(run.prompt_set.prompts, 'prompt')}"
    return f"{some} were kept token by token: what the preset used and there was room for, in whole pairs."


def no_flags(ranked: Ranked) -> Component | None:
    """Why there is no refusal-relevant mass, and what is shown instead; None where there is."""
    if ranked.flagged:
        return None
    return withheld(
        "Refusal-relevant mass",
        "no expert was flagged in this run. The highest-ranked ones can be shown instead: they were looked at first, "
        "and it was not found that refusal depends on them",
    )


def controls(
    look: Look,
    ranked: Ranked,
    choice: Sequence[TracedPrompt],
    prompts: Sequence[TracedPrompt],
    experts: Sequence[Mapping[str, Any]],
    layers: Sequence[int],
) -> Component:
    """What can be chosen. `choice` are the prompts that the address narrows `prompts` to."""
    offered = [*choice[:MOST_PROMPTS], *(one for one in prompts if one.prompt_id == look.prompt)]
    named = {one.prompt_id: _named(one) for one in offered}
    return html.Div(
        [
            dmc.Select(
                id="tokens-prompt",
                label="Prompt",
                value=look.prompt,
                data=[{"value": prompt_id, "label": name} for prompt_id, name in named.items()],
                allowDeselect=False,
                searchable=True,
                limit=200,
                size="sm",
                nothingFoundMessage="No such prompt",
                description=None
                if len(choice) == len(prompts)
                else f"{formats.count(len(choice))} of {formats.count(len(prompts))}, as the address narrows them",
            ),
            html.Div(
                [
                    html.Span("Underlined by", className="field-label", id="tokens-by-label"),
                    dmc.SegmentedControl(
                        id="tokens-by",
                        value=look.by,
                        data=[{"value": way, "label": WAYS[way]} for way in ranked.ways],
                        size="xs",
                        **{"aria-label": "Underlined by"},
                    ),
                ],
                className="stack start",
            ),
            html.Div(
                dmc.Select(
                    id="tokens-expert",
                    label="Expert",
                    value=value(look),
                    data=list(experts),
                    allowDeselect=False,
                    searchable=True,
                    size="sm",
                    nothingFoundMessage="Not among the experts of this prompt",
                ),
                id="tokens-expert-box",
                hidden=look.by != "expert",
            ),
            html.Div(
                [
                    html.Span(
                        ["Layer: ", html.Strong(layer_name(look), id="tokens-layer-name", **aria(live="polite"))],
                        className="field-label",
                    ),
                    dmc.Slider(
                        id="tokens-layer",
                        min=0,
                        max=len(layers),
                        step=1,
                        value=position_of(look, layers),
                        marks=_marks(layers),
                        thumbLabel="Layer; the leftmost place stands for all of them",
                        label=None,
                        color="ink",
                        size="sm",
                    ),
                ],
                className="stack token-slider",
            ),
            html.Button(
                [icon("eye"), html.Span("Show the texts", id="tokens-show-text")],
                id="tokens-show",
                type="button",
                className="button",
                **aria(pressed="false"),
            ),
        ],
        className="token-controls",
    )


def _named(one: TracedPrompt) -> str:
    return " · ".join(filter(None, [formats.prompt_label(one.label, one.group), one.topic, one.prompt_id]))


def value(look: Look) -> str | None:
    """The chosen expert as the address has it."""
    return None if look.expert is None else f"{look.expert[0]}.{look.expert[1]}"


def layer_name(look: Look) -> str:
    """ "layer 2", or "all layers"."""
    return "all layers" if look.layer is None else f"layer {look.layer}"


def position_of(look: Look, layers: Sequence[int]) -> int:
    """The slider's place: 0 for all layers."""
    return 0 if look.layer is None else 1 + layers.index(look.layer)


def _marks(layers: Sequence[int]) -> list[dict[str, Any]]:
    every = max(1, -(-len(layers) // 10))
    named = [(at, layer) for at, layer in enumerate(layers, start=1) if every == 1 or (at > 1 and at % every == 0)]
    return [{"value": 0, "label": "all"}, *({"value": at, "label": str(layer)} for at, layer in named)]


def legend() -> Component:
    """What the looks of a chip mean."""
    return html.P(
        [
            html.Span("word", className="tok prompt"),
            " the user's words ",
            html.Span("word", className="tok template"),
            " chat template ",
            html.Span("word", className="tok template special"),
            " special token ",
            html.Span("word", className="tok response unrouted"),
            " generated, and never fed back to the model",
        ],
        className="dim small token-legend",
    )
