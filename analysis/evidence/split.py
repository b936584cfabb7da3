"""Choose the prompts of an audit and cut them into a half to look in and a half to confirm on."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.statistics import FEWEST_CLUSTERS


@dataclass(frozen=True)
class Halves:
    """The two halves. A pair is never torn apart, and no topic is in both, unless there are too few topics for each
    half to carry intervals over topics.
    """

    discovery: PromptSet
    confirmation: PromptSet
    by_topic: bool


def subset(prompts: PromptSet, limit: int | None, seed: int) -> PromptSet:
    """At most `limit` harmful, `limit` benign and `limit` jailbreak prompts, drawn evenly over topics, pairs together,
    in the file's order.
    """
    kinds = prompts.labelled("harmful"), prompts.labelled("benign"), prompts.jailbreaks
    if limit is None or max(map(len, kinds)) <= limit:
        return prompts
    units = _units([p for p in prompts.prompts if p.group == "regular"])
    taken: list[Prompt] = []
    counts = {"harmful": 0, "benign": 0, None: 0}
    for unit in _interleaved(units, seed):
        if all(counts[p.label] < limit for p in unit):
            taken += unit
            for prompt in unit:
                counts[prompt.label] += 1
    if prompts.jailbreaks:
        taken += [unit[0] for unit in _interleaved([[p] for p in prompts.jailbreaks], seed)[:limit]]
    chosen = {p.id for p in taken}
    return replace(prompts, prompts=tuple(p for p in prompts.prompts if p.id in chosen))


def halves(prompts: PromptSet, seed: int) -> Halves:
    """Split by topic, balancing the halves' sizes; by pair where halves would have too few topics of a label."""
    units = _units(prompts.prompts)
    by_topic = _fewest_topics(units) >= 2 * FEWEST_CLUSTERS
    clusters: dict[str, list[Prompt]] = defaultdict(list)
    for number, unit in enumerate(units):
        clusters[(by_topic and unit[0].topic) or f"unit {number}"] += unit
    names = sorted(clusters)
    order = np.random.default_rng(seed).permutation(len(names))
    if by_topic:
        ordered = sorted(order, key=lambda i: -len(clusters[names[i]]))
    else:  # topic after topic and label after label, so that taking turns gives each half its share of each
        ordered = sorted(order, key=lambda i: _kind(clusters[names[i]]))
    sides: tuple[list[Prompt], list[Prompt]] = ([], [])
    for index in ordered:
        min(sides, key=_size).extend(clusters[names[index]])
    parts = [frozenset(p.id for p in side) for side in sides]
    kept = [tuple(p for p in prompts.prompts if p.id in part) for part in parts]
    return Halves(
        PromptSet(f"{prompts.name} · discovery", kept[0]),
        PromptSet(f"{prompts.name} · confirmation", kept[1]),
        by_topic,
    )


def _fewest_topics(units: Sequence[list[Prompt]]) -> int:
    """How many topics the harmful or the benign prompts have, whichever is less; a pair has its first member's."""
    topics: dict[str, set[str]] = defaultdict(set)
    for unit in units:
        for label in {prompt.label or "" for prompt in unit} if unit[0].topic else ():
            topics[label].add(unit[0].topic or "")
    labelled = [found for label, found in topics.items() if label]
    return min(map(len, labelled or topics.values()), default=0)


def _kind(unit: Sequence[Prompt]) -> tuple[str, int, str]:
    return unit[0].topic or "", len(unit), unit[0].label or ""


def _size(side: Sequence[Prompt]) -> tuple[int, int]:
    """Regular prompts decide which half is the smaller one: the power to flag comes from them alone."""
    return sum(p.group == "regular" for p in side), len(side)


def _units(prompts: Sequence[Prompt]) -> list[list[Prompt]]:
    """Pairs as one unit each with the jailbreaks that wrap them behind, other prompts alone."""
    units: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        units[f"pair {prompt.pair_id}" if prompt.pair_id else f"prompt {prompt.id}"].append(prompt)
    return [sorted(unit, key=lambda prompt: prompt.group != "regular") for unit in units.values()]


def _interleaved(units: Sequence[list[Prompt]], seed: int) -> list[list[Prompt]]:
    """Shuffled units, one topic after the other, so that a cut anywhere is balanced."""
    rng = np.random.default_rng(seed)
    by_topic: dict[str, list[list[Prompt]]] = defaultdict(list)
    for index in rng.permutation(len(units)):
        by_topic[units[index][0].topic or ""].append(units[index])
    columns = [by_topic[topic] for topic in sorted(by_topic)]
    return [column[row] for row in range(max(map(len, columns), default=0)) for column in columns if row < len(column)]
