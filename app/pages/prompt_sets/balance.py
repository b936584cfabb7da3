"""How a set's prompts are spread over topics and labels: the picture, the numbers behind it, and what they leave open.

Shown of a file before it is imported and of a stored set alike.
"""

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from app.components import Column, graph, info, plain_table
from app.figures import balance_bars
from backend import formats
from backend.services import Balance, TopicBalance

MOST_TOPICS = 30
NO_TOPIC = "no topic"


def balance_view(balance: Balance, chart_id: str) -> Component:
    """A section with the chart, a table of every topic, and advice in words."""
    shown = sorted(balance.topics, key=lambda one: -one.prompts)[:MOST_TOPICS]
    shown = [one for one in balance.topics if one in shown]
    names = [one.topic or NO_TOPIC for one in shown]
    text = (
        f"Prompts by topic and label: {formats.plural(balance.harmful, 'harmful prompt')} and "
        f"{formats.plural(balance.benign, 'benign prompt')} over {formats.plural(len(balance.named), 'topic')}"
    )
    chart = graph(
        balance_bars(names, [one.harmful for one in shown], [one.benign for one in shown]),
        "prompts by topic and label",
        text,
        id=chart_id,
    )
    more = len(balance.topics) - len(shown)
    caption = (
        f"{formats.count(balance.prompts)} prompts" + (f"; the {MOST_TOPICS} largest topics" if more else "") + "."
    )
    return html.Section(
        [
            html.H2(["Prompts by topic and label ", info("balance")]),
            chart,
            html.P(caption, className="dim small"),
            advice_list([one.text for one in balance.advice()]),
            html.Details([html.Summary("Every topic in numbers"), _table(balance.topics)], className="more"),
        ],
        className="stack-2",
    )


def advice_list(advice: Sequence[str]) -> Component | None:
    """What the prompts leave open; a word of relief where that is nothing."""
    if not advice:
        return html.P("Labels, topics and pairs are balanced: nothing is left open by the prompts.", className="dim")
    return html.Ul([html.Li(text) for text in advice], className="warnings")


def _table(topics: Sequence[TopicBalance]) -> Component:
    columns = [Column("Topic")]
    columns += [Column(name, numeric=True) for name in ("Harmful", "Benign", "Jailbreak", "Unlabelled")]
    columns.append(Column(html.Span(["Pairs ", info("pairs")]), numeric=True))
    rows = [
        [
            one.topic or html.Span(NO_TOPIC, className="dim"),
            html.Span(formats.count(one.harmful), className="harmful"),
            html.Span(formats.count(one.benign), className="benign"),
            formats.count(one.jailbreak),
            formats.count(one.unlabelled),
            formats.count(one.pairs),
        ]
        for one in topics
    ]
    return plain_table(columns, rows, "Prompts of each topic by label")
