"""/ui/runs/{id}/tokens: which experts worked on each token of a prompt and its answer, beside its matched partner.

Prompt, layer, colouring and the first selected expert stand in the address. No text is sent before a click.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from dash import Input, Output, State, ctx, dcc, html
from dash.development.base_component import Component

from app import addresses
from app.callbacks import Binder
from app.components import graph, info
from app.components.states import withheld
from app.figures import token_profile
from app.figures.template import BENIGN, HARMFUL, NEUTRAL
from app.pages.run.frame import Finished, run_view
from app.pages.tokens.columns import Column, columns, details, table
from app.pages.tokens.controls import controls, kept, layer_name, legend, no_flags, nothing, position_of, value
from app.pages.tokens.look import By, Look, Ranked, first_look, fitting, narrowed, place
from app.router import Page, View, Visit
from backend import formats
from backend.services import (
    RunInfo,
    Services,
    TokenTrace,
    TokenView,
    TracedPrompt,
    expert_choices,
    expert_view,
    mass_view,
    partner,
    readable_texts,
)

UNITS = {"mass": "share of weight", "ranked": "share of weight", "expert": "weight"}
COLOURS = {"harmful": HARMFUL, "benign": BENIGN}


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "tokens", lambda finished: _tokens(services, finished, visit))


PAGE = Page("/runs/{run_id}/tokens", show)


@dataclass(frozen=True)
class Drawn:
    """One look at one prompt and its partner, ready for the page."""

    look: Look
    body: Component
    figure: Any
    caption: str
    experts: list[dict[str, Any]]
    details: dict[str, Any]
    layers: tuple[int, ...]


def _tokens(services: Services, finished: Finished, visit: Visit) -> Component:
    prompts = services.results.traced_prompts(finished.run.id)
    if not prompts:
        return nothing(finished.run)
    ranked = Ranked.of(services.results.expert_table(finished.run.id))
    drawn = draw(services, finished.run.id, first_look(visit.query, prompts, ranked), ranked, prompts)
    missing = visit.query.get("prompt") not in (None, drawn.look.prompt)
    return html.Div(
        [
            dcc.Store(id="tokens-run", data={"run": finished.run.id, "layers": drawn.layers}),
            dcc.Store(id="tokens-details", data=drawn.details),
            dcc.Store(id="tokens-shown", data=False),
            dcc.Store(id="tokens-address"),
            dcc.Store(id="tokens-known"),
            html.H1(["Where each token was routed ", info("token_mass")]),
            html.P(kept(finished.run, prompts), className="dim"),
            withheld(f"Prompt {visit.query['prompt']}", "this run has not kept its tokens; another one is shown")
            if missing
            else None,
            no_flags(ranked),
            controls(
                drawn.look,
                ranked,
                narrowed(prompts, visit.query) or prompts,
                prompts,
                drawn.experts,
                drawn.layers,
            ),
            _profile(finished.run, drawn),
            html.Div(drawn.body, id="tokens-body"),
            legend(),
        ],
        className="stack-2 tokens",
    )


def _profile(run: RunInfo, drawn: Drawn) -> Component:
    return html.Section(
        [
            html.H2("Layer by layer"),
            graph(
                drawn.figure,
                f"{run.id}-tokens",
                "The chosen quantity by layer, for the prompt and its matched partner",
                id="tokens-profile",
            ),
            html.P(drawn.caption, id="tokens-caption", className="dim small"),
        ],
        className="stack token-profile",
    )


def draw(
    services: Services,
    run_id: str,
    look: Look,
    ranked: Ranked,
    prompts: Sequence[TracedPrompt],
    *,
    moved: bool = False,
) -> Drawn:
    """Everything that changes with a choice."""
    trace = services.results.tokens(run_id, look.prompt)
    look = fitting(look, trace, ranked, moved=moved)
    known = {one.prompt_id: one for one in prompts}
    ids = [look.prompt, *filter(None, [partner(prompts, look.prompt)])]
    ids.sort(key=lambda one: known[one].label != "harmful")
    shown = [_column(services, run_id, look, ranked, known[one], trace if one == look.prompt else None) for one in ids]
    unit = UNITS[look.by]
    coloured = "token-flagged" if look.by == "mass" or look.expert in ranked.flagged else "token-plain"
    body = html.Div([columns(shown, unit), table(shown, unit)], className=f"stack-2 {coloured}")
    series = [
        (one.prompt.prompt_id, COLOURS.get(one.prompt.label or "", NEUTRAL), one.view.profile.tolist()) for one in shown
    ]
    return Drawn(
        look,
        body,
        token_profile(trace.layers, series, look.layer, unit),
        _caption(look, ranked, shown),
        _expert_options(trace, ranked, look),
        details(shown, unit, addresses.run(run_id, "experts") + "/"),
        trace.layers,
    )


def _column(
    services: Services, run_id: str, look: Look, ranked: Ranked, prompt: TracedPrompt, trace: TokenTrace | None
) -> Column:
    trace = trace or services.results.tokens(run_id, prompt.prompt_id)
    texts = readable_texts(trace, services.settings) if look.shown else None
    answers = services.results.answers(run_id, prompt.prompt_id)
    return Column(prompt, trace, _view(trace, look, ranked), texts, answers)


def _view(trace: TokenTrace, look: Look, ranked: Ranked) -> TokenView:
    if look.by == "expert" and look.expert is not None:
        return expert_view(trace, look.expert, ranked.flagged, look.layer)
    return mass_view(trace, ranked.members(look.by), look.layer)


def _caption(look: Look, ranked: Ranked, shown: Sequence[Column]) -> str:
    if look.by == "expert" and look.expert is not None:
        named = formats.place(*look.expert)
        what = (
            f"Mean applied weight over the tokens of each prompt: of {named} in its layer, and in every other of the "
            "expert that the slider leads to, the flagged one or the one with the largest share"
        )
    else:
        members = ", ".join(formats.place(*one) for one in ranked.members(look.by))
        what = f"Mean share over the tokens of each prompt of its layer's weight that goes to {members}"
    tokens = " and ".join(f"{one.prompt.prompt_id}: {int(one.trace.routed.sum())}" for one in shown)
    return f"{what}. Tokens of {tokens}."


def _expert_options(trace: TokenTrace, ranked: Ranked, look: Look) -> list[dict[str, Any]]:
    found = expert_choices(trace, ranked.flagged, look.layer)
    extra = [look.expert] if look.expert is not None and look.expert not in found else []
    return [
        {"value": f"{layer}.{expert}", "label": formats.place(layer, expert) + _mark((layer, expert), ranked)}
        for layer, expert in [*found, *extra]
    ]


def _mark(expert: tuple[int, int], ranked: Ranked) -> str:
    return " · flagged" if expert in ranked.flagged else ""


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("tokens-body", "children"),
        Output("tokens-profile", "figure"),
        Output("tokens-caption", "children"),
        Output("tokens-expert", "data"),
        Output("tokens-expert", "value"),
        Output("tokens-expert-box", "hidden"),
        Output("tokens-layer", "value"),
        Output("tokens-layer-name", "children"),
        Output("tokens-details", "data"),
        Output("tokens-shown", "data"),
        Output("tokens-show-text", "children"),
        Output("tokens-show", "aria-pressed"),
        Input("tokens-prompt", "value"),
        Input("tokens-by", "value"),
        Input("tokens-expert", "value"),
        Input("tokens-layer", "value"),
        Input("tokens-show", "n_clicks"),
        State("tokens-shown", "data"),
        State("tokens-run", "data"),
        prevent_initial_call=True,
    )
    def redraw(
        prompt: str, by: str, expert: str | None, position: int, _clicks: int, shown: bool, about: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        run, pressed = about["run"], ctx.triggered_id
        ranked, prompts = Ranked.of(services.results.expert_table(run)), services.results.traced_prompts(run)
        layer = about["layers"][position - 1] if position else None
        shown = bool(shown) != (pressed == "tokens-show")
        look = Look(prompt, cast("By", by), place(expert or ""), layer, shown)
        drawn = draw(services, run, look, ranked, prompts, moved=pressed == "tokens-layer")
        return (
            drawn.body,
            drawn.figure,
            drawn.caption,
            drawn.experts,
            value(drawn.look),
            drawn.look.by != "expert",
            position_of(drawn.look, drawn.layers),
            layer_name(drawn.look),
            drawn.details,
            shown,
            "Cover the texts" if shown else "Show the texts",
            "true" if shown else "false",
        )

    bind.in_browser(
        "rememberTokens",
        Output("tokens-address", "data"),
        Input("tokens-prompt", "value"),
        Input("tokens-by", "value"),
        Input("tokens-expert", "value"),
        Input("tokens-layer", "value"),
        State("tokens-run", "data"),
        prevent_initial_call=True,
    )
    bind.in_browser("knowTokens", Output("tokens-known", "data"), Input("tokens-details", "data"))
