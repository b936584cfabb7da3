"""Which prompts of a capture keep their single tokens, where all of them would be too much."""

from collections.abc import Sequence

import numpy as np

from analysis.prompts.prompt_set import Prompt


def sampled(prompts: Sequence[Prompt], sizes: Sequence[int], budget: int, seed: int) -> list[int]:
    """Rows of the prompts to keep: all while their `sizes` in bytes fit `budget`, otherwise whole matched pairs, then
    prompts without a partner, drawn with the seed and topic by topic in turn.
    """
    if sum(sizes) <= budget:
        return list(range(len(prompts)))
    kept: list[int] = []
    left = budget
    for unit in _in_turn(prompts, seed):
        size = sum(sizes[row] for row in unit)
        if size <= left:
            kept += unit
            left -= size
    return sorted(kept)


def _in_turn(prompts: Sequence[Prompt], seed: int) -> list[list[int]]:
    """Pairs first; each round takes one of every topic, in an order that the seed shuffles."""
    pairs: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        pairs.setdefault(f"pair {prompt.pair_id}" if prompt.pair_id else f"alone {row}", []).append(row)
    units = list(pairs.values())
    random = np.random.default_rng(seed)
    rounds: dict[tuple[bool, str], int] = {}
    placed = []
    for number in random.permutation(len(units)).tolist():
        unit = units[number]
        among = (len(unit) == 1, prompts[unit[0]].topic or "")
        place = rounds.setdefault(among, 0)
        rounds[among] += 1
        placed.append((among[0], place, unit))
    return [unit for _, _, unit in sorted(placed, key=lambda one: one[:2])]
