"""Two finished audits side by side: what differs between them, what changed, and whether a gate should open.

`compare_audits` reads two report.json documents and no model. The routes, the pages and the commands `compare` and
`gate` show what it returns.
"""

from analysis.comparing.cells import difference_cells
from analysis.comparing.change import Change
from analysis.comparing.comparison import Comparison, compare_audits, why_not
from analysis.comparing.experts import FlaggedSets, RankAgreement
from analysis.comparing.gate import Check, GateResult, Policy, gate
from analysis.comparing.routing import RoutingChange

__all__ = [
    "Change",
    "Check",
    "Comparison",
    "FlaggedSets",
    "GateResult",
    "Policy",
    "RankAgreement",
    "RoutingChange",
    "compare_audits",
    "difference_cells",
    "gate",
    "why_not",
]
