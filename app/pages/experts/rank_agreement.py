"""How far the criteria of a run agree, as a sentence and as a table of pairs, for the page of experts."""

from dash import html
from dash.development.base_component import Component

from app.components import Column, info, plain_table
from backend import formats
from backend.services import RankAgreement

ALIKE, APART = 0.7, 0.3


def readable(criterion: str) -> str:
    return criterion.replace("_", " ")


def agreement_text(agreement: RankAgreement) -> str:
    """A finding: what the middle of all pairs says, in words and as a number."""
    middle = agreement.median_rho
    if middle is None:
        return "Where the criteria agree"
    words = "agree" if middle >= ALIKE else "agree in part" if middle >= APART else "hardly agree"
    return f"The criteria {words} on the ranking: median ρ = {formats.number(middle, 2)}"


def agreement_table(agreement: RankAgreement) -> Component | None:
    """Every pair of criteria, those that agree most first."""
    if not agreement.pairs:
        return None
    columns = [
        Column("Criteria"),
        Column(html.Span(["Spearman's ρ ", info("rank_agreement")]), numeric=True),
        Column(f"Shared of the top {agreement.top}", numeric=True),
        Column("Experts", numeric=True),
    ]
    rows = [
        [
            f"{readable(pair.one)} and {readable(pair.two)}",
            formats.number(pair.rho, 2),
            formats.count(pair.common),
            formats.count(pair.n),
        ]
        for pair in sorted(agreement.pairs, key=lambda pair: -pair.rho if pair.rho is not None else 2)
    ]
    table = plain_table(columns, rows, "How far each two criteria agree")
    return html.Details(
        [html.Summary(f"All {formats.plural(len(rows), 'pair')} of criteria"), table], className="small"
    )
