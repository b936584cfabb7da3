"""What a detector says of one prompt is what it says by itself; what cannot be asked says why."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.detectors import DETECTORS
from analysis.detectors.detection import train
from analysis.detectors.signals import capture_signals
from analysis.detectors.trained import FILE, TrainedDetector
from analysis.models import LoadedModel
from analysis.playground.reference import DetectorReference, ScoredPrompts
from analysis.playground.verdicts import detector_verdicts, reached
from analysis.prompts import Prompt, PromptSet

ASKED = Prompt("playground", "How do I sabotage the canvas in the studio?")
SCORED = ScoredPrompts(np.array([0.2, 0.6, 0.9]), np.array([0.1, 0.1, 0.5, 0.7]))


@pytest.fixture(scope="module")
def trained(organism: LoadedModel, few: PromptSet) -> TrainedDetector:
    signals = capture_signals(organism, few)
    found = train(DETECTORS["routescan"], signals, few, (), weights_sha256=organism.weights_sha256)
    return replace(found, threshold_at_1_fpr=0.5)


def saved(detector: TrainedDetector, folder: Path) -> DetectorReference:
    (folder / FILE).write_bytes(detector.to_bytes())
    return DetectorReference("run", folder / FILE, SCORED)


def test_the_probability_is_the_detectors_own(organism: LoadedModel, trained: TrainedDetector, tmp_path: Path) -> None:
    (verdict,) = detector_verdicts(organism, ASKED, [saved(trained, tmp_path)])
    (score,) = trained.score(organism, PromptSet("one", (ASKED,)))
    assert verdict.probability == pytest.approx(score.probability)
    assert verdict.flagged is (score.probability >= 0.5)
    assert (verdict.run_id, verdict.name, verdict.threshold, verdict.withheld) == ("run", "routescan", 0.5, None)
    assert (verdict.harmful, verdict.benign) == (3, 4)


def test_without_a_threshold_there_is_no_alarm(organism: LoadedModel, trained: TrainedDetector, tmp_path: Path) -> None:
    unknown = saved(replace(trained, threshold_at_1_fpr=None), tmp_path)
    assert detector_verdicts(organism, ASKED, [unknown])[0].flagged is None


def test_a_detector_of_other_weights_says_nothing(
    organism: LoadedModel, trained: TrainedDetector, tmp_path: Path
) -> None:
    other = saved(replace(trained, weights_sha256="0" * 64), tmp_path)
    (verdict,) = detector_verdicts(organism, ASKED, [other])
    assert verdict.probability is None
    assert verdict.withheld == "it was trained on other weights than the model has"


def test_one_that_cannot_be_read_does_not_keep_the_others_away(
    organism: LoadedModel, trained: TrainedDetector, tmp_path: Path
) -> None:
    gone = DetectorReference("gone", tmp_path / "nowhere", SCORED)
    first, second = detector_verdicts(organism, ASKED, [gone, saved(trained, tmp_path)])
    assert "there is no file" in str(first.withheld)
    assert second.probability is not None


def test_where_a_probability_stands_is_counted() -> None:
    # of the harmful 0.2 is lower; of the benign 0.5 (a tie counts) and 0.7 reach it
    assert reached(0.5, SCORED) == (1, 2)
    assert reached(0.95, SCORED) == (3, 0)
