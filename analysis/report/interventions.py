"""The `interventions` section of report.json: the dose curve and the committee, beside the flagged experts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from analysis.evidence.controls import Committee, Controls, Dose
from analysis.models import ExpertId


def interventions_section(controls: Controls | None, prompts: int) -> dict[str, Any] | None:
    """`prompts` is the number of harmful prompts of the confirmation half, on which all is measured; None without
    controls.
    """
    if controls is None:
        return None
    return {
        "mode": "mask_zero",
        "window": "both",
        "prompts": prompts,
        "dose": [dose_row(one) for one in controls.dose],
        "committee": None if controls.committee is None else committee_row(controls.committee),
    }


def dose_row(one: Dose) -> dict[str, Any]:
    return {
        "size": len(one.experts),
        "experts": pairs(one.experts),
        "margin": one.margin.as_dict(),
        "refusal": one.refusal.as_dict(),
        "null": asdict(one.null),
        "null_refusal": asdict(one.null_refusal),
        "p_value": one.p_value,
    }


def committee_row(one: Committee) -> dict[str, Any]:
    return {
        "size": len(one.experts),
        "experts": pairs(one.experts),
        "frequency": one.frequency,
        "margin": one.margin.as_dict(),
        "refusal": one.refusal.as_dict(),
        "selectivity": one.off_target if np.isfinite(one.off_target) else None,
    }


def pairs(experts: Sequence[ExpertId]) -> list[list[int]]:
    """[[layer, expert], …]"""
    return [list(expert) for expert in experts]
