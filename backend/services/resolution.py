"""What a run of a given size can resolve, told on the new-run page before it is started."""

from dataclasses import dataclass

from analysis.audit_settings import AuditSettings
from analysis.statistics import FEWEST_CLUSTERS, Topics, rate_half_width

ALIKE = 0.1
"""An intraclass correlation of prompts that are much alike within their topic."""


@dataclass(frozen=True)
class Resolution:
    """Half-widths of the 95 % interval of a refusal rate, as shares: at most `half_width` for `harmful` independent
    prompts, `alike` where prompts of a topic are much alike (None with too few topics for such an interval).
    """

    harmful: int
    half_width: float
    alike: float | None


def resolution(harmful: int, topics: int, preset: str) -> Resolution | None:
    """What `preset` can resolve of so many harmful prompts in so many topics; None where there are none.

    A rate of one half is the widest case. Raises InputError for a preset that does not exist.
    """
    limit = AuditSettings.from_preset(preset).prompts
    used = harmful if limit is None else min(harmful, limit)
    if used < 1:
        return None
    alike = rate_half_width(0.5, used, Topics(topics, ALIKE)) if topics >= FEWEST_CLUSTERS else None
    return Resolution(used, rate_half_width(0.5, used), alike)
