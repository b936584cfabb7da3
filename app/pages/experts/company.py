"""Two parts of an expert's page: the experts that it works with, and the tokens that it is the first expert for."""

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components import Column, info, plain_table, token
from app.components.states import withheld
from app.pages.run.frame import Finished
from backend import formats
from backend.services import ExpertView

NOT_COUNTED = "this run was made before they were counted; run it again"


def partners(finished: Finished, view: ExpertView, why: str | None) -> Component:
    """`why` is the report's reason where co-activation is withheld."""
    title = html.H2(["Works with ", info("coactivation")])
    if view.partners is None:
        return html.Section([title, withheld("Co-activation", why or NOT_COUNTED)], className="stack-2")
    if not view.partners:
        text = why or "No prompt token selects it together with another expert."
        return html.Section([title, html.P(text[:1].upper() + text[1:], className="dim")], className="stack-2")
    layer = view.row["layer"]
    columns = [
        Column("Expert"),
        Column("Selected with it", numeric=True),
        Column(html.Span(["Lift ", info("coactivation_lift")]), numeric=True),
        Column("Tokens", numeric=True),
    ]
    rows = [
        [
            dcc.Link(
                formats.place(layer, one.expert),
                href=addresses.expert(finished.run.id, layer, one.expert),
                className="row-link",
            ),
            formats.percent(one.probability),
            f"{formats.number(one.lift, 2)} ×",
            formats.count(one.tokens),
        ]
        for one in view.partners
    ]
    note = html.P("Share of this expert's prompt tokens that select the other one too.", className="dim small")
    return html.Section(
        [title, plain_table(columns, rows, "Experts that it works with most often"), note], className="stack-2"
    )


def top_tokens(view: ExpertView) -> Component:
    title = html.H2(["Tokens it comes first for ", info("top_tokens")])
    if view.tokens is None:
        return html.Section([title, withheld("Tokens", NOT_COUNTED)], className="stack-2")
    if not view.tokens:
        text = "No token that occurs at least 10 times gives it the highest weight."
        return html.Section([title, html.P(text, className="dim")], className="stack-2")
    columns = [Column("Token"), Column("Comes first", numeric=True), Column("Times", numeric=True)]
    rows = [
        [token(one.text, special=one.special), formats.percent(one.share), formats.count(one.tokens)]
        for one in view.tokens
    ]
    note = html.P(
        "Share of a token's occurrences in prompts that give this expert the highest weight.", className="dim small"
    )
    return html.Section(
        [title, plain_table(columns, rows, "Tokens that it comes first for"), note], className="stack-2"
    )
