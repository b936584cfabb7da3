"""Two audits compared: one document that the API, the pages and the command line all show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from analysis.comparing.change import Change
from analysis.comparing.experts import FlaggedSets, RankAgreement, compare_flagged, compare_ranks
from analysis.comparing.outcomes import SharedPrompts, compare_outcomes_of
from analysis.comparing.routing import RoutingChange, compare_routing, unlike
from analysis.comparing.subject import Differing, Subject, caveats, differing
from analysis.comparing.words import sentences
from analysis.errors import InputError

SCHEMA = "expertscope.comparison/1"
REPORT = "expertscope.report/1"
_OWN = {
    "expertscope.tune/1": "a tuning, whose document holds before and after itself",
    "expertscope.mask/1": "a mask, whose document holds before and after itself",
    "expertscope.detector/1": "a detector",
    "expertscope.trace/1": "a trace",
}


@dataclass(frozen=True)
class Withheld:
    """What is missing, by its path in this document, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Comparison:
    """Two audits, A and B; every difference is B − A.

    `differs` and `caveats` come first for a reader: what besides the models could make a difference. `changed` says in
    words what intervals support. `outcomes` are shares and, under margin_…, nats. `flagged` is None and `ranks` are
    empty where the models differ in architecture. What is missing has its reason in `withheld`.
    """

    schema: str
    a: Subject
    b: Subject
    differs: tuple[Differing, ...]
    caveats: tuple[str, ...]
    changed: tuple[str, ...]
    prompts: SharedPrompts | None
    outcomes: dict[str, Change]
    routing: RoutingChange
    flagged: FlaggedSets | None
    ranks: dict[str, RankAgreement]
    withheld: tuple[Withheld, ...]

    def as_dict(self) -> dict[str, Any]:
        """Ready for `json.dumps`."""
        return asdict(self)

    def why(self, what: str) -> str | None:
        """Why a part is missing."""
        return next((one.why for one in self.withheld if one.what == what), None)


def compare_audits(a: Mapping[str, Any], b: Mapping[str, Any]) -> Comparison:
    """Compare two report.json documents. Raises InputError for a document that is none.

    Outcomes are paired where at least half of the prompts of both are the same text with the same label, and otherwise
    stand apart. Routing, flagged sets and ranks are compared expert by expert where both models have the same family,
    MoE layers, experts and k.
    """
    for name, report in (("A", a), ("B", b)):
        if reason := why_not(report):
            raise InputError(f"{name} cannot be compared: {reason}", field=name.lower())
    outcomes, routing = compare_outcomes_of(a, b), compare_routing(a, b)
    apart = unlike(a, b)
    flagged = None if apart else compare_flagged(a, b)
    reasons = {**outcomes.withheld, **_missing(routing)}
    if apart:
        reasons |= dict.fromkeys(("flagged", "ranks", "routing.per_layer", "routing.groups"), apart)
    return Comparison(
        schema=SCHEMA,
        a=Subject.of(a),
        b=Subject.of(b),
        differs=differing(a, b),
        caveats=caveats(a, b, outcomes.shared.shared if outcomes.shared else None),
        changed=sentences(outcomes.changes, routing, flagged),
        prompts=outcomes.shared,
        outcomes=outcomes.changes,
        routing=routing,
        flagged=flagged,
        ranks={} if apart else compare_ranks(a, b),
        withheld=tuple(Withheld(what, why) for what, why in reasons.items()),
    )


def why_not(document: object) -> str | None:
    """Why a document is no report of an audit, which only can be compared; None where it is one."""
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema == REPORT:
        return None
    if schema in _OWN:
        return f"it is {_OWN[schema]}; only audits can be compared"
    return f"its schema is {schema!r}, expected '{REPORT}', the report.json of an audit"


def _missing(routing: RoutingChange) -> dict[str, str]:
    why = "one of the two audits could not measure it"
    return {} if routing.topic_ratio else {"routing.topic_ratio": why}
