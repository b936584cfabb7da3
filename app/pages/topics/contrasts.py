"""All five contrasts of routing, how many experts their sides share, and what was forced for the last two."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from app import wording
from app.components import Column, graph, info, interval, plain_table
from app.components.states import withheld
from app.figures import contrasts_by_layer
from app.pages.run.frame import Finished
from backend import formats

CONTRASTS = (
    ("topic", "Topic", "benign prompts of two topics"),
    ("within_topic", "Within topic", "benign prompts of one topic"),
    ("safety", "Safety", "a harmful prompt and its benign twin"),
    ("refusal_prefix", "Refusal prefix", "a harmful prompt, without and with a refusal behind it"),
    ("behaviour", "Behaviour", "a refusal and its stand-in, behind one harmful prompt"),
)


def section(finished: Finished, per_layer: Sequence[Mapping[str, Any]]) -> list[Component | None] | None:
    """None for a run from before there were five contrasts."""
    routing, top_k = finished.report["routing"], finished.report["model"]["top_k"]
    if "overlap" not in routing:
        return None
    why = wording.withheld_reason(finished.report, "routing.jsd.behaviour")
    note = "One scale; bands are 95 % intervals from resampling topics."
    return [
        html.H2(["Five contrasts ", info("jsd")]),
        withheld("Refusal prefix and behaviour", why) if why else None,
        _five(routing, top_k),
        _panels(
            html.H3(["Divergence ", info("jsd")]),
            contrasts_by_layer(per_layer),
            f"{finished.run.id}-contrasts",
            "Divergence of five contrasts by layer, one panel each, on one scale",
            note,
        ),
        _panels(
            html.H3(["Shared experts ", info("overlap")]),
            contrasts_by_layer(per_layer, overlap=True, top_k=top_k),
            f"{finished.run.id}-overlap",
            f"How many of {top_k} experts the sides of each contrast share, by layer",
            f"Of the {top_k} most used experts of each side. {note}",
        ),
        _forced(routing.get("forced")),
    ]


def _panels(title: Component, figure: Any, name: str, text: str, note: str) -> Component:
    return html.Section(
        [title, graph(figure, name, text), html.P(note, className="dim small")], className="stack panels"
    )


def _five(routing: Mapping[str, Any], top_k: int) -> Component:
    columns = [
        Column("Contrast"),
        Column("Between"),
        Column(html.Span(["JSD ", info("jsd")]), numeric=True),
        Column(html.Span([f"Shared of {top_k}", " ", info("overlap")]), numeric=True),
        Column("Topics", numeric=True),
    ]
    rows = [
        [
            html.Span([name, " ", info(f"jsd_{key}")]),
            between,
            interval(routing["jsd"].get(key)),
            interval(routing["overlap"].get(key)),
            formats.count(routing["jsd"][key]["n"]),
        ]
        for key, name, between in CONTRASTS
    ]
    return plain_table(columns, rows, "The five contrasts, mean over layers, with 95 % intervals")


def _forced(forced: Mapping[str, Any] | None) -> Component | None:
    """Which answers were forced, in their words."""
    if forced is None:
        return None
    origin = {"own answers": "from the model's own answers", "built-in": "built in"}
    refusal, stand_in = forced["refusal"], forced["stand_in"]
    answers = " and ".join(f"“{one['text']}” ({origin[one['source']]})" for one in (refusal, stand_in))
    where = f"{formats.plural(forced['prompts'], 'harmful prompt')}, {formats.plural(refusal['tokens'], 'token')} each"
    return html.P(
        f"Forced on {where}: {answers}. Their words differ too, and few tokens lie farther apart than many: not all of "
        "the behaviour contrast is refusing.",
        className="dim small",
    )
