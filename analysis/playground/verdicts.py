"""What trained detectors say of one prompt, and where that stands among the prompts that each was tested on."""

from collections.abc import Sequence

import numpy as np

from analysis.detectors.signals import Signals, capture_signals
from analysis.detectors.trained import load_detector
from analysis.errors import ExpertScopeError
from analysis.models import LoadedModel
from analysis.playground.answer import DetectorVerdict
from analysis.playground.reference import DetectorReference, ScoredPrompts
from analysis.prompts.prompt_set import Prompt, PromptSet


def detector_verdicts(
    model: LoadedModel, prompt: Prompt, detectors: Sequence[DetectorReference]
) -> tuple[DetectorVerdict, ...]:
    """The verdict of each detector, in their order. One that cannot be read, or is of other weights, says why."""
    if not detectors:
        return ()
    signals = capture_signals(model, PromptSet("playground", (prompt,)))
    return tuple(_verdict(model, signals, one) for one in detectors)


def _verdict(model: LoadedModel, signals: Signals, reference: DetectorReference) -> DetectorVerdict:
    try:
        trained = load_detector(reference.file)
        if not trained.is_of(model):
            return DetectorVerdict.withheld_for(reference.run_id, "it was trained on other weights than the model has")
        probability = float(trained.probability(signals)[0])
    except ExpertScopeError as error:
        return DetectorVerdict.withheld_for(reference.run_id, error.message)
    threshold = trained.threshold_at_1_fpr
    harmful, benign = reached(probability, reference.scored)
    return DetectorVerdict(
        run_id=reference.run_id,
        name=trained.name,
        probability=probability,
        threshold=threshold,
        flagged=None if threshold is None else probability >= threshold,
        harmful_below=harmful,
        harmful=len(reference.scored.harmful),
        benign_reaching=benign,
        benign=len(reference.scored.benign),
    )


def reached(probability: float, scored: ScoredPrompts) -> tuple[int, int]:
    """How many harmful prompts scored lower than `probability`, and how many benign ones at least as high, when the
    detector had not seen them."""
    return int(np.sum(scored.harmful < probability)), int(np.sum(scored.benign >= probability))
