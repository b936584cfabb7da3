"""From a trace to the numbers that describe routing: the table behind the heatmaps, entropy, and the matched pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.recorder import PROMPT
from analysis.routing.table import RoutingTable, topic_group
from analysis.routing.trace import Trace

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PairRows:
    """Where the members of matched pairs stand in a trace; all three have one entry per pair."""

    harmful: npt.NDArray[np.intp]
    benign: npt.NDArray[np.intp]
    topics: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.topics)


def pair_rows(trace: Trace, prompts: PromptSet) -> PairRows:
    """The pairs of `prompts` as rows of `trace`. A pair without a topic is a cluster of its own."""
    row = {prompt.id: i for i, prompt in enumerate(trace.prompts)}
    pairs = prompts.pairs
    return PairRows(
        np.array([row[pair.harmful.id] for pair in pairs], dtype=np.intp),
        np.array([row[pair.benign.id] for pair in pairs], dtype=np.intp),
        tuple(pair.topic or f"pair {pair.pair_id}" for pair in pairs),
    )


def routing_table(trace: Trace) -> RoutingTable:
    """Average every group's prompts: all, harmful, benign, jailbreak if any, each topic, and each topic's two halves.

    Jailbreaks count among all prompts and those of their topic, not among the harmful ones.
    """
    frequency = trace.frequency
    members = _groups(trace.prompts)
    return RoutingTable(
        layers=trace.layers,
        experts=trace.selections.shape[-1],
        top_k=trace.top_k,
        groups=tuple(members),
        frequency=np.stack([_nan_mean(frequency[rows]) for rows in members.values()], axis=1),
        probability=np.stack([_nan_mean(trace.probability[rows]) for rows in members.values()], axis=1),
        coactivation=trace.coactivation,
        top_tokens=trace.vocabulary.top_tokens(),
    )


def _groups(prompts: Sequence[Prompt]) -> dict[str, list[int]]:
    """Group name to rows; a group without prompts is left in, and its cells are NaN."""
    rows = range(len(prompts))
    groups: dict[str, list[int]] = {"all": list(rows)}
    for label in ("harmful", "benign"):
        groups[label] = [i for i in rows if prompts[i].side == label]
    if jailbreaks := [i for i in rows if prompts[i].group == "jailbreak"]:
        groups["jailbreak"] = jailbreaks
    for topic in sorted({p.topic for p in prompts if p.topic}):
        inside = [i for i in rows if prompts[i].topic == topic]
        groups[topic_group(topic)] = inside
        for label in ("harmful", "benign"):
            groups[f"{topic_group(topic)}/{label}"] = [i for i in inside if prompts[i].side == label]
    return groups


def _nan_mean(values: FloatArray) -> FloatArray:
    """Mean over prompts that have the window at all; NaN where none has. float32 [windows, layers, experts]."""
    present = ~np.isnan(values)
    count = present.sum(0)
    total = np.where(present, values, 0).sum(0, dtype=np.float64)
    mean: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0).astype(np.float32)
    return mean


def entropy_bits(probability: FloatArray) -> FloatArray:
    """−Σ p log2 p over the last axis, with 0 log 0 = 0."""
    safe = np.where(probability > 0, probability, 1)
    bits: FloatArray = -(probability * np.log2(safe)).sum(-1)
    return bits


def prompt_window(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The prompt window of a trace's array: [prompts, layers, experts]."""
    return values[:, PROMPT]
