"""What a set of prompts holds, shown before a run is started with it: its first rows, or what is wrong with a file."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components import Column, plain_table
from app.components.states import field_error
from app.pages.prompt_sets.text import prompt_text
from backend import formats
from backend.services import (
    Balance,
    ExpertScopeError,
    NotFoundError,
    Prompt,
    Services,
    TopicBalance,
    estimate_balance,
)

PREVIEW_ROWS = 5
PREVIEW_CHARS = 80
MOST_FAULTS = 12
MOST_TOPICS = 20


@dataclass(frozen=True)
class Chosen:
    """The prompts of a run, whether they are stored or only dropped; `chars` is their mean length."""

    name: str
    balance: Balance
    chars: float

    def as_dict(self) -> dict[str, Any]:
        """As a page keeps it."""
        return {"name": self.name, "chars": self.chars, "topics": [asdict(one) for one in self.balance.topics]}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Chosen":
        """The inverse of `as_dict`."""
        return cls(kept["name"], Balance(tuple(TopicBalance(**one) for one in kept["topics"])), kept["chars"])


@dataclass(frozen=True)
class Dropped:
    """What became of a dropped file: a preview and what it holds, or what is wrong with it."""

    preview: Component | None = None
    faults: Component | None = None
    chosen: dict[str, Any] | None = None


def preview(services: Services, prompts: Sequence[Prompt], chosen: Chosen) -> Component:
    """The first rows as they were understood, and how many there are of each topic. Harmful texts stay covered."""
    columns = [Column("Prompt"), Column("Label"), Column("Topic"), Column("Pair")]
    rows = [
        [
            prompt_text(services.content.prompt(prompt.text), prompt.label, PREVIEW_CHARS),
            html.Span(formats.prompt_label(prompt.label, prompt.group), className=prompt.label),
            prompt.topic or formats.NONE,
            prompt.pair_id or formats.NONE,
        ]
        for prompt in prompts[:PREVIEW_ROWS]
    ]
    total = chosen.balance.prompts
    return html.Div(
        [
            html.H3(f"{chosen.name}: the first {min(PREVIEW_ROWS, total)} of {formats.plural(total, 'prompt')}"),
            plain_table(columns, rows, f"First rows of {chosen.name}", "table small"),
            html.P(["Topics: ", _topics(chosen.balance)], className="dim small"),
        ],
        className="stack",
    )


def _topics(balance: Balance) -> str:
    named = [f"{one.topic} {one.prompts}" for one in balance.named]
    more = f" and {len(named) - MOST_TOPICS} more" if len(named) > MOST_TOPICS else ""
    return (", ".join(named[:MOST_TOPICS]) or "none") + more


def faults_list(error: ExpertScopeError) -> Component:
    """The message, then each place at fault with its row and column."""
    shown = [html.Li(str(fault)) for fault in error.faults[:MOST_FAULTS]]
    rest = len(error.faults) - len(shown)
    more = html.P(f"And {rest} more.", className="dim small") if rest > 0 else None
    listed = html.Ul(shown) if len(shown) > 1 or (shown and str(error.faults[0]) not in error.message) else None
    note = html.P("Nothing was stored. Mend the file and drop it again.", className="dim small")
    return html.Div([field_error(error.message), listed, more, note], className="faults")


def decode(contents: str) -> bytes:
    """The bytes of a file as the browser sent it: "data:text/csv;base64,…"."""
    try:
        return base64.b64decode(contents.partition(",")[2], validate=True)
    except binascii.Error:
        return b""


def check_file(services: Services, contents: str, filename: str) -> Dropped:
    """Look at a dropped file as a whole. Nothing is stored, whatever it holds."""
    try:
        prompts = services.prompt_sets.check(decode(contents), filename)
    except ExpertScopeError as error:
        other = html.P(
            [
                "Other columns or words? ",
                dcc.Link("Import the file", href=addresses.IMPORT),
                " and say what they mean.",
            ],
            className="small",
        )
        return Dropped(faults=html.Div([faults_list(error), other]))
    balance, chars = estimate_balance(prompts.prompts)
    chosen = Chosen(prompts.name, balance, chars)
    return Dropped(preview(services, prompts.prompts, chosen), chosen=chosen.as_dict())


def stored_preview(services: Services, set_id: str) -> Component | None:
    try:
        prompts = services.prompt_sets.get(set_id)
        chosen = Chosen(prompts.name, services.prompt_sets.balance(set_id), 0)
        return preview(services, services.prompt_sets.prompts(set_id, PREVIEW_ROWS), chosen)
    except NotFoundError as error:
        return field_error(error.message)
