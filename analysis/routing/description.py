"""What a trace says of routing beyond the heatmaps: the contrasts, the topic matrices and what explains each expert.

Put together once by the audit; `analysis.report.routing` writes it down.
"""

from dataclasses import dataclass

from analysis.errors import WithheldError
from analysis.prompts.prompt_set import Label
from analysis.routing.explained import Explained, explained
from analysis.routing.forced import ForcedPair
from analysis.routing.summary import prompt_window
from analysis.routing.topic_matrix import TopicMatrix, topic_matrix
from analysis.routing.topic_safety import TopicSafety
from analysis.routing.trace import Trace

LABELS: tuple[Label, ...] = ("benign", "harmful")


@dataclass(frozen=True)
class RoutingDescription:
    """`forced`, a matrix or `explained` is None where the prompts cannot carry it; `withheld` says why."""

    contrasts: TopicSafety
    forced: ForcedPair | None
    matrices: dict[Label, TopicMatrix | None]
    explained: Explained | None
    withheld: dict[str, str]


def describe_routing(
    trace: Trace, contrasts: TopicSafety, forced: ForcedPair | None, not_forced: str, *, seed: int
) -> RoutingDescription:
    """Add to the contrasts of a trace what else its prompts can carry. `not_forced` says why `forced` is None."""
    labels, topics = [p.side for p in trace.prompts], [p.topic for p in trace.prompts]
    probability = prompt_window(trace.probability)
    matrices = {label: topic_matrix(probability, labels, topics, label, seed=seed) for label in LABELS}
    withheld = {**contrasts.withheld, **_without_matrices(matrices)}
    if forced is None:
        withheld["routing.forced"] = not_forced
    try:
        shares = explained(prompt_window(trace.frequency), labels, topics)
        withheld |= shares.withheld
    except WithheldError as reason:
        shares, withheld["routing.explained"] = None, reason.message
    return RoutingDescription(contrasts, forced, matrices, shares, withheld)


def _without_matrices(matrices: dict[Label, TopicMatrix | None]) -> dict[str, str]:
    reasons = {}
    for label, matrix in matrices.items():
        if matrix is None:
            reasons[f"routing.topic_matrix.{label}"] = f"there are not two topics with {label} prompts"
        elif not matrix.pairs.all():
            reasons[f"routing.topic_matrix.{label}"] = "a topic with a single prompt has no pair within itself"
    return reasons
