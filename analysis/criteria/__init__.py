"""Criteria: each one file, one function from evidence to a score per expert; this registry is the list of them.

None of them is trusted alone. They nominate candidates; interventions decide.
"""

from analysis.criteria import ablation as _ablation
from analysis.criteria import gatebreaker as _gatebreaker
from analysis.criteria import integrated as _integrated
from analysis.criteria import lobotomy as _lobotomy
from analysis.criteria import raset as _raset
from analysis.criteria import raset_gradient as _raset_gradient
from analysis.criteria import routehijack as _routehijack
from analysis.criteria import safex as _safex
from analysis.criteria import steermoe as _steermoe
from analysis.criteria.evidence import Criterion, CriterionFunction, CriterionInfo, Evidence, Rows, Scores

CRITERIA: dict[str, tuple[CriterionInfo, CriterionFunction]] = {
    "raset": (_raset.INFO, _raset.raset),
    "raset_gradient": (_raset_gradient.INFO, _raset_gradient.raset_gradient),
    "integrated": (_integrated.INFO, _integrated.integrated),
    "safex": (_safex.INFO, _safex.safex),
    "steermoe": (_steermoe.INFO, _steermoe.steermoe),
    "routehijack": (_routehijack.INFO, _routehijack.routehijack),
    "gatebreaker": (_gatebreaker.INFO, _gatebreaker.gatebreaker),
    "lobotomy": (_lobotomy.INFO, _lobotomy.lobotomy),
    "ablation": (_ablation.INFO, _ablation.ablation),
}

__all__ = ["CRITERIA", "Criterion", "CriterionFunction", "CriterionInfo", "Evidence", "Rows", "Scores"]
