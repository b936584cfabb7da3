"""A trained detector in one safetensors file, and what it says of new prompts.

`detection` writes it; whoever scores prompts later reads it with `load_detector`. The arrays are those of the scorer,
the header's JSON says which detector it is, of which model, and for which layers and experts. Nothing is pickled.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from analysis.detectors import DETECTORS
from analysis.detectors.base import Scorer
from analysis.detectors.linear import LinearScorer
from analysis.detectors.nearest import NearestScorer
from analysis.detectors.signals import Signals, capture_signals
from analysis.errors import InputError, NotFoundError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import PromptSet

FILE = "detector.safetensors"
SCHEMA = "expertscope.trained-detector/1"
_SCORERS: dict[str, Callable[..., Scorer]] = {one.kind: one for one in (LinearScorer, NearestScorer)}
_PLAIN = ("name", "layers", "experts", "weights_sha256", "prompts_sha256", "threshold_at_1_fpr")


@dataclass(frozen=True)
class TrainedDetector:
    """`name` is its entry in DETECTORS; `layers` and `experts` are those of the model it was trained on.

    `threshold_at_1_fpr` is the score that at most 1 % of the benign training prompts reached out of fold, None where
    there were too few of them to say.
    """

    name: str
    layers: tuple[int, ...]
    experts: tuple[int, ...]
    weights_sha256: str | None
    prompts_sha256: str
    threshold_at_1_fpr: float | None
    scorer: Scorer

    def __repr__(self) -> str:
        return f"TrainedDetector({self.name}: {len(self.layers)} layers × {max(self.experts)} experts)"

    def probability(self, signals: Signals) -> Float[np.ndarray, " prompts"]:
        """P(harmful) of each prompt. Raises InputError for the signals of a model with other layers or experts."""
        if (signals.layers, signals.experts) != (self.layers, self.experts):
            raise InputError(
                f"the detector was trained on a model with {_shape(self.layers, self.experts)}, this one has "
                f"{_shape(signals.layers, signals.experts)}: score with the model it was trained on",
                field="model",
            )
        return self.scorer.probability(DETECTORS[self.name].features(signals).values)

    def score(self, model: LoadedModel, prompts: PromptSet) -> list["PromptScore"]:
        """Run `prompts` through the model and score them, in their order. Labels are not looked at."""
        likely = self.probability(capture_signals(model, prompts))
        return [PromptScore(prompt.id, float(p)) for prompt, p in zip(prompts, likely, strict=True)]

    def is_of(self, model: LoadedModel) -> bool:
        """Whether `model` has the very weights that it was trained on; its probabilities hold for no others."""
        return self.weights_sha256 is not None and self.weights_sha256 == model.weights_sha256

    def to_bytes(self) -> bytes:
        """The file's content."""
        header = {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in _PLAIN},
            "scorer": self.scorer.kind,
            "numbers": self.scorer.numbers(),
        }
        arrays = {name: np.ascontiguousarray(array) for name, array in self.scorer.arrays().items()}
        return save(arrays, metadata={"expertscope": json.dumps(header, allow_nan=False)})


@dataclass(frozen=True)
class PromptScore:
    """What a detector says of one prompt."""

    prompt_id: str
    probability: float


def load_detector(path: Path | str) -> TrainedDetector:
    """Read a trained detector from its file, or from the folder that `expertscope detect` wrote.

    Raises NotFoundError where there is none, InputError for a file that is not one.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise NotFoundError(f"there is no file '{file.name}': expected {FILE}, as expertscope detect writes it")
    try:
        with safe_open(file, framework="numpy") as opened:
            header = json.loads((opened.metadata() or {})["expertscope"])
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return _read(header, arrays)
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"'{file.name}' is not a trained detector ({type(error).__name__}): expected {FILE}, as expertscope detect "
            "writes it"
        ) from error


def _read(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> TrainedDetector:
    """Raises ValueError, KeyError or TypeError for what does not fit together."""
    if header["schema"] != SCHEMA or header["name"] not in DETECTORS:
        raise ValueError("another schema, or a detector that does not exist here")
    scorer = _SCORERS[header["scorer"]](**arrays, **header["numbers"])
    plain = {name: header[name] for name in _PLAIN}
    detector = TrainedDetector(
        **{**plain, "layers": tuple(header["layers"]), "experts": tuple(header["experts"])}, scorer=scorer
    )
    columns = arrays["memory" if header["scorer"] == NearestScorer.kind else "weights"].shape[-1]
    if (
        len(detector.layers) != len(detector.experts)
        or sum(detector.experts) > columns
        or columns != _columns(detector)
    ):
        raise ValueError("arrays that do not fit the layers and experts")
    if not np.isfinite(scorer.probability(np.zeros((1, columns)))).all():
        raise ValueError("arrays that are not finite")
    return detector


def _columns(detector: TrainedDetector) -> int:
    """How many features its layers and experts give."""
    return len(DETECTORS[detector.name].features(_blank(detector.layers, detector.experts)).columns)


def _blank(layers: tuple[int, ...], experts: tuple[int, ...]) -> Signals:
    """Signals of no prompts, from which the columns can be counted."""
    cells = np.empty((0, len(layers), max(experts)))
    return Signals((), layers, experts, (), cells, cells, np.empty((0, 0, 0)), np.empty(0, dtype=np.int64))


def _shape(layers: Sequence[int], experts: Sequence[int]) -> str:
    return f"{_words(sorted(set(experts)))} experts in layers {_words(layers)}"


def _words(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
