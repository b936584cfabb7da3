"""How much of a run is done and how long the rest takes.

The rule: each stage has a fixed share of the whole, learnt from the built-in models; within a stage, shards count
equally. The rest takes as long per share as this attempt has needed so far, so shards that an earlier attempt left
behind are not counted as speed. Until an attempt has moved forward there is no estimate.
"""

from collections.abc import Mapping

STAGE_WEIGHTS: Mapping[str, float] = {
    "load": 0.05,
    "capture": 0.20,
    "forced": 0.02,
    "criteria": 0.25,
    "search": 0.13,
    "confirmation": 0.15,
    "controls": 0.05,
    "answers": 0.15,
}


def overall_fraction(stage: str, done: int, total: int, before: float) -> float:
    """Share of the whole run that is done, in [0, 1]; never less than `before`, the share reported last.

    A stage without a known weight moves nothing, so that the share stays honest rather than jumps back.
    """
    if stage not in STAGE_WEIGHTS:
        return before
    stages = list(STAGE_WEIGHTS)
    earlier = sum(STAGE_WEIGHTS[name] for name in stages[: stages.index(stage)])
    within = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
    return max(before, min(1.0, earlier + STAGE_WEIGHTS[stage] * within))


def eta_seconds(elapsed: float, fraction: float, base: float) -> float | None:
    """Seconds left. `elapsed` is this attempt's time, in which the share done rose from `base` to `fraction`."""
    gained = fraction - base
    if elapsed <= 0 or gained <= 0:
        return None
    return max(0.0, elapsed * (1.0 - fraction) / gained)
