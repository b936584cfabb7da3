"""How prompts are parted into training and test: pairs never torn, and for the hard test no topic on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from analysis.detectors.base import Labels
from analysis.prompts.prompt_set import Prompt

MOST_CATEGORY_FOLDS = 20
"""Above this many topics, topics are left out in groups."""


@dataclass(frozen=True)
class Fold:
    """`train` and `test` are rows; `categories` the topics left out, where that is what was done."""

    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]
    categories: tuple[str, ...] = ()


def units_of(prompts: Sequence[Prompt]) -> list[str]:
    """What must stay together: the pair, or the prompt alone."""
    return [f"pair {p.pair_id}" if p.pair_id else f"prompt {p.id}" for p in prompts]


def clusters_of(prompts: Sequence[Prompt]) -> list[str]:
    """What an interval draws again: the topic, or where a prompt has none, its unit."""
    return [f"topic {p.topic}" if p.topic else unit for p, unit in zip(prompts, units_of(prompts), strict=True)]


def grouped_folds(harmful: Labels, units: Sequence[str], folds: int, *, seed: int) -> list[Fold]:
    """At most `folds` stratified folds that keep units together and test every prompt once.

    Fewer where a label has fewer units, and none where some fold would lack a label to train on.
    """
    names = np.array(units)
    most = min(folds, *(len(set(names[harmful == label])) for label in (True, False)))
    for count in range(most, 1, -1):
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        found = [Fold(train, test) for train, test in splitter.split(names, harmful, names)]
        if all(_both(harmful[fold.train]) and len(fold.test) for fold in found):
            return found
    return []


def category_folds(prompts: Sequence[Prompt], harmful: Labels) -> list[Fold]:
    """One fold for each topic, or group of topics: trained on the others, units of left-out topics aside.

    Prompts without a topic are in no fold, on either side: nobody knows what they would give away.
    """
    topics, units = np.array([p.topic or "" for p in prompts]), np.array(units_of(prompts))
    rows = np.flatnonzero(topics != "")
    count = min(MOST_CATEGORY_FOLDS, len(set(topics[rows])))
    if count < 2:
        return []
    folds = []
    for _, places in GroupKFold(count).split(rows, groups=topics[rows]):
        test = rows[places]
        known = np.isin(topics[rows], topics[test]) | np.isin(units[rows], units[test])
        fold = Fold(rows[~known], test, tuple(sorted(set(topics[test]))))
        if _both(harmful[fold.train]):
            folds.append(fold)
    return sorted(folds, key=lambda fold: fold.categories)


def _both(harmful: Labels) -> bool:
    return bool(harmful.any() and not harmful.all())
