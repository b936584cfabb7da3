"""A detector written down, read back, and refused where it does not fit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from analysis.detectors import DETECTORS
from analysis.detectors.detection import train
from analysis.detectors.signals import Signals
from analysis.detectors.trained import FILE, PromptScore, TrainedDetector, load_detector
from analysis.errors import InputError, NotFoundError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt, PromptSet
from tests.analysis.detectors.synthetic import one_direction, pairs, signals


@pytest.fixture
def what() -> Signals:
    return signals(pairs(4, 6), one_direction(4))


def trained(name: str, what: Signals) -> TrainedDetector:
    return train(DETECTORS[name], what, PromptSet("some", what.prompts), [], weights_sha256="abc")


def write(path: Path, name: str, what: Signals, header: dict[str, object]) -> Path:
    """The file of a detector, with parts of its header changed."""
    data = trained(name, what).to_bytes()
    length = int.from_bytes(data[:8], "little")
    about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["expertscope"])
    path.write_bytes(save(load(data), metadata={"expertscope": json.dumps(about | header)}))
    return path


@pytest.mark.parametrize("name", DETECTORS)
def test_a_file_read_back_scores_the_same(name: str, what: Signals, tmp_path: Path) -> None:
    first = trained(name, what)
    (tmp_path / FILE).write_bytes(first.to_bytes())
    again = load_detector(tmp_path)
    fresh = signals(pairs(2, 5), one_direction(2), seed=8)
    np.testing.assert_array_equal(again.probability(fresh), first.probability(fresh))
    assert ((first.probability(fresh) >= 0) & (first.probability(fresh) <= 1)).all()
    assert replace(again, scorer=first.scorer) == first
    assert load_detector(tmp_path / FILE).name == name


def test_a_fit_on_all_prompts_is_what_is_kept(what: Signals) -> None:
    detector = DETECTORS["router_logits"]
    harmful = np.array([p.label == "harmful" for p in what.prompts])
    scorer = detector.fit(detector.features(what).values, harmful, [str(i) for i in range(len(what))])
    expected = scorer.probability(detector.features(what).values)
    np.testing.assert_array_equal(trained("router_logits", what).probability(what), expected)


def test_signals_of_another_model_are_refused(what: Signals) -> None:
    other = replace(what, layers=(0, 1))
    with pytest.raises(InputError, match="8 experts in layers 1, 3, this one has 8 experts in layers 0, 1"):
        trained("nearest", what).probability(other)


def test_new_prompts_are_scored_with_the_model(tiny: Callable[[str], LoadedModel], some_prompts: PromptSet) -> None:
    from analysis.detectors.signals import capture_signals

    model = tiny("olmoe")
    captured = capture_signals(model, some_prompts)
    labelled = tuple(replace(p, label="harmful" if i % 2 else "benign") for i, p in enumerate(captured.prompts))
    detector = train(
        DETECTORS["routescan"],
        replace(captured, prompts=labelled),
        some_prompts,
        [],
        weights_sha256=model.weights_sha256,
    )
    one = PromptSet("one", (Prompt("new", some_prompts.prompts[3].text),))
    (score,) = detector.score(model, one)
    assert score == PromptScore("new", pytest.approx(detector.probability(captured)[3], abs=1e-5))
    assert detector.is_of(model)
    assert not detector.is_of(tiny("mixtral"))
    assert not replace(detector, weights_sha256=None).is_of(model)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no file 'detector\.safetensors'"):
        load_detector(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        {"schema": "expertscope.trained-detector/9"},
        {"name": "oracle"},
        {"layers": [1, 3, 5]},
        {"experts": [8, 9]},
        {"experts": [8, 10**12]},
        {"experts": []},
        {"experts": ["a", "b"]},
        {"scorer": "nearest"},
        {"scorer": "tree"},
        {"numbers": {}},
        {"numbers": {"intercept": "x", "slope": 1, "shift": 0}},
        {"numbers": {"intercept": 1, "slope": 1, "shift": 0, "more": 1}},
    ],
)
def test_a_header_that_does_not_fit_is_refused(header: dict[str, object], what: Signals, tmp_path: Path) -> None:
    path = write(tmp_path / "changed.safetensors", "router_logits", what, header)
    with pytest.raises(InputError, match=r"'changed\.safetensors' is not a trained detector"):
        load_detector(path)


@pytest.mark.parametrize("content", [b"", b"no safetensors", save({"a": np.zeros(3)})])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(InputError, match="is not a trained detector"):
        load_detector(tmp_path)


def test_weights_that_are_not_finite_are_refused(what: Signals, tmp_path: Path) -> None:
    data = trained("router_logits", what).to_bytes()
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    arrays = {**load(data), "weights": np.full(16, np.nan)}
    (tmp_path / FILE).write_bytes(save(arrays, metadata=metadata))
    with pytest.raises(InputError, match="is not a trained detector"):
        load_detector(tmp_path)
