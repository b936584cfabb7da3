"""What routing looks like, layer by layer: entropy, effective experts, co-activation, topics, vocabulary.

The report calls `routing_profile` for its `routing.per_layer` and for what it withholds.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.errors import WithheldError
from analysis.routing.coactivation import FEWEST_TOKENS, Coactivation
from analysis.routing.summary import entropy_bits, prompt_window
from analysis.routing.table import RoutingTable
from analysis.routing.topics import TopicSpecialisation, topic_specialisation
from analysis.routing.trace import Trace
from analysis.routing.vocabulary import FEWEST


@dataclass(frozen=True)
class RoutingProfile:
    """`per_layer` has one JSON-able row for each MoE layer, `topics` the lifts where there are any.

    `withheld` says by the report's own paths why a number is missing.
    """

    per_layer: list[dict[str, Any]]
    topics: TopicSpecialisation | None
    withheld: dict[str, str]


def router_entropy(trace: Trace) -> npt.NDArray[np.float64]:
    """Mean over tokens of −Σ π log2 π [layers], in bits: within a prompt first, then over prompts; prompt window."""
    bits: npt.NDArray[np.float64] = prompt_window(trace.entropy).mean(0, dtype=np.float64)
    return bits


def routing_profile(trace: Trace, table: RoutingTable) -> RoutingProfile:
    """Describe every layer. What the model or the prompts cannot support is None in its row, and in `withheld`."""
    withheld: dict[str, str] = {}
    vocabulary = trace.vocabulary.specialisation()
    if vocabulary is None:
        withheld["routing.per_layer.vocabulary_specialisation"] = (
            f"no token id occurs {FEWEST} times in these prompts: a share of fewer is mostly chance"
        )
    try:
        topics = topic_specialisation(table)
    except WithheldError as reason:
        topics, withheld["routing.per_layer.topic_specialisation"] = None, reason.message
    pairs = [_strongest(trace.coactivation, layer) for layer in trace.layers]
    if not all(pairs):
        withheld["routing.per_layer.coactivation"] = _no_pairs(trace, pairs.count(None))
    rows = zip(_entropies(trace, table), trace.layers, pairs, strict=True)
    per_layer = [
        {
            **entropies,
            "coactivation": pair,
            "topic_specialisation": _topic(topics, layer),
            "vocabulary_specialisation": asdict(vocabulary[place]) if vocabulary else None,
        }
        for place, (entropies, layer, pair) in enumerate(rows)
    ]
    return RoutingProfile(per_layer, topics, withheld)


def _entropies(trace: Trace, table: RoutingTable) -> list[dict[str, float]]:
    """Router entropy, entropy of the mean router probability (bits), effective experts 2^H of f/k (count)."""
    of_mean = entropy_bits(table.cells("probability"))
    load = entropy_bits(table.cells("frequency") / table.cells("frequency").sum(-1, keepdims=True))
    return [
        {"entropy": float(bits), "entropy_of_mean": float(mean), "effective_experts": float(2**evenness)}
        for bits, mean, evenness in zip(router_entropy(trace), of_mean, load, strict=True)
    ]


def _strongest(found: Coactivation | None, layer: int) -> dict[str, Any] | None:
    strongest = found.strongest(layer) if found else None
    if strongest is None:
        return None
    expert, partner = strongest
    return {
        "expert": expert,
        "partner": partner.expert,
        "probability": partner.probability,
        "lift": partner.lift,
        "tokens": partner.tokens,
    }


def _no_pairs(trace: Trace, layers: int) -> str:
    if trace.coactivation is None:
        return "the model has too many pairs of experts to count them in memory"
    if trace.top_k < 2:
        return "every token selects one expert, so that no two work together"
    return f"in {layers} layers no expert is selected by {FEWEST_TOKENS} prompt tokens"


def _topic(topics: TopicSpecialisation | None, layer: int) -> dict[str, Any] | None:
    return asdict(topics.most_specialised(layer)) | {"mean": topics.mean(layer)} if topics else None
