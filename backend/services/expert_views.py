"""One expert cut out of a routing table and of the per-prompt counts. Pure functions; `Results.expert` calls them."""

import math

import numpy as np

from analysis.result import PromptCounts
from analysis.routing.table import RoutingTable
from backend.services.records import TopicUse, WindowUse

TOP_PROMPTS = 20
_TOPIC = "topic:"


def topic_uses(table: RoutingTable, place: int, expert: int) -> list[TopicUse]:
    """Use by topic in the prompt window, most used first. `place` is the layer's index in the table."""
    topics = [g for g in table.groups if g.startswith(_TOPIC) and not g.endswith(("/harmful", "/benign"))]

    def cell(quantity: str, group: str) -> float | None:
        return _number(table.cells(quantity, group)[place, expert]) if group in table.groups else None

    uses = [
        TopicUse(
            topic=group.removeprefix(_TOPIC),
            frequency=cell("frequency", group),
            lift=cell("lift", group),
            harmful=cell("frequency", f"{group}/harmful"),
            benign=cell("frequency", f"{group}/benign"),
        )
        for group in topics
    ]
    return sorted(uses, key=lambda use: -(use.frequency or 0.0))


def window_uses(table: RoutingTable, place: int, expert: int) -> list[WindowUse]:
    """Use by token window, over all prompts."""
    return [
        WindowUse(
            window,
            _number(table.cells("frequency", "all", window)[place, expert]),
            _number(table.cells("probability", "all", window)[place, expert]),
        )
        for window in table.windows
    ]


def top_prompts(counts: PromptCounts, place: int, expert: int) -> dict[str, float]:
    """Selection frequency in the prompt window, for the prompts on which the expert is used most, highest first."""
    tokens = counts.tokens[:, 0].astype(np.float64)
    selected = counts.counts[:, 0, place, expert].astype(np.float64)
    frequency = np.divide(selected, tokens, out=np.zeros_like(selected), where=tokens > 0)
    order = np.argsort(-frequency, kind="stable")[:TOP_PROMPTS]
    return {counts.prompt_ids[i]: float(frequency[i]) for i in order if frequency[i] > 0}


def _number(value: np.float32) -> float | None:
    return None if math.isnan(value) else float(value)
