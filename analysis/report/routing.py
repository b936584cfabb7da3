"""The `routing` section of report.json, and what routing says of each expert.

Called by `report`. Matrices are written with six decimals and, of more than MOST_TOPICS topics, without their layers:
with 48 layers they would outweigh the rest of the report.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.routing.description import RoutingDescription
from analysis.routing.forced import ForcedPair
from analysis.routing.topic_matrix import TopicMatrix
from analysis.routing.topic_safety import CONTRASTS

MOST_TOPICS = 40
DECIMALS = 6


def routing_section(
    found: RoutingDescription, layers: Sequence[int], profile: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """`layers` are the MoE layers' indices in the model, `profile` what `routing_profile` says of each."""
    contrasts = found.contrasts
    per_layer = [
        {
            "layer": layer,
            **{name: divergence[name].as_dict() for name in (*CONTRASTS, "topic_ratio")},
            **profile[i],
            "overlap": {name: overlap[name].as_dict() for name in CONTRASTS},
        }
        for i, (layer, divergence, overlap) in enumerate(
            zip(layers, contrasts.per_layer, contrasts.overlap_per_layer, strict=True)
        )
    ]
    return {
        "topic_ratio": contrasts.topic_ratio.as_dict(),
        "jsd": {name: contrasts.overall[name].as_dict() for name in CONTRASTS},
        "overlap": {name: contrasts.overlap[name].as_dict() for name in CONTRASTS},
        "per_layer": per_layer,
        "forced": _forced(found.forced),
        "topic_matrix": {label: _matrix(matrix) for label, matrix in found.matrices.items()},
        "explained": None
        if found.explained is None
        else {"prompts": found.explained.prompts, "chance": found.explained.chance},
    }


def expert_shares(found: RoutingDescription, cell: tuple[int, int]) -> dict[str, float | None]:
    """η² of topic, harm and their interaction for one (layer's row, expert)."""
    shares = found.explained
    names = ("topic", "harm", "interaction")
    return {f"eta_{name}": None if shares is None else _number(getattr(shares, name)[cell]) for name in names}


def _forced(forced: ForcedPair | None) -> dict[str, Any] | None:
    if forced is None:
        return None
    told = forced.continuations
    return {
        "prompts": len(forced.refusal.prompts),
        "refusal": told.refusal.as_dict(),
        "stand_in": told.stand_in.as_dict(),
        "assignments": sum(trace.certificate.tally.assignments_seen for trace in (forced.refusal, forced.stand_in)),
    }


def _matrix(matrix: TopicMatrix | None) -> dict[str, Any] | None:
    if matrix is None:
        return None
    few = len(matrix.topics) <= MOST_TOPICS
    return {
        "topics": list(matrix.topics),
        "mean": _rows(matrix.mean),
        **({"per_layer": [_rows(layer) for layer in matrix.per_layer]} if few else {}),
        "pairs": matrix.pairs.tolist(),
    }


def _rows(values: npt.NDArray[np.float64]) -> list[list[float | None]]:
    return [[_number(value) for value in row] for row in np.round(values, DECIMALS)]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
