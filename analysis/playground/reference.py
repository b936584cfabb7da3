"""What one prompt is held against: a finished audit of the same model, and the detectors trained on it.

Plain data, filled by whoever keeps audits; nothing here needs torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analysis.prompts.prompt_set import Prompt
from analysis.result import Answer, PromptCounts


@dataclass(frozen=True)
class AuditReference:
    """A finished audit: the prompts that it used in its own order, what they selected, and the untouched model's
    answers to them. `seed` is the one that cut its prompts into halves."""

    run_id: str
    weights_sha256: str | None
    seed: int
    layers: tuple[int, ...]
    prompts: tuple[Prompt, ...]
    counts: PromptCounts
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class ScoredPrompts:
    """The probabilities that a detector gave its own prompts out of fold, by label."""

    harmful: npt.NDArray[np.float64]
    benign: npt.NDArray[np.float64]


@dataclass(frozen=True)
class DetectorReference:
    """A trained detector in its file, and how it scored the prompts that it was tested on."""

    run_id: str
    file: Path
    scored: ScoredPrompts


@dataclass(frozen=True)
class References:
    """`no_audit` and `no_detectors` say why there is nothing to compare with."""

    audit: AuditReference | None = None
    detectors: Sequence[DetectorReference] = ()
    no_audit: str = "there is no finished audit of this model"
    no_detectors: str = "no detector has been trained on this model"
