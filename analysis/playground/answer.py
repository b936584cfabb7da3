"""What is known of one prompt after the model has answered it. Plain data without torch, kept as one blob."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.blob import pack, unpack
from analysis.result import AnswerLabel
from analysis.routing.table import WINDOWS, Window
from analysis.routing.token_trace import TokenTrace

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class GroupDistance:
    """D(x, G) of the prompt to the audit's `prompts` prompts with `label`, as a mean and per MoE layer.

    `low`, `median` and `high` (5, 50 and 95 %) are where those prompts lie themselves, each without its own pair.
    """

    label: str
    prompts: int
    mean: float
    per_layer: tuple[float, ...]
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Distance:
    """Distances to the harmful and the benign prompts of the audit `run_id`, in this order.

    `lean` = D(benign) − D(harmful), above 0 nearer to the harmful ones. Of the audit's own prompts so many of each
    label lean at least as far to the harmful side: `harmful_reaching` and `benign_reaching`. `auroc` is an interval:
    how well the lean tells its harmful prompts from its benign ones.
    """

    run_id: str
    layers: tuple[int, ...]
    groups: tuple[GroupDistance, ...]
    lean: float
    harmful_reaching: int
    benign_reaching: int
    auroc: dict[str, Any]


@dataclass(frozen=True)
class DetectorVerdict:
    """What the detector of the run `run_id` says: P(harmful), and whether that reaches the score which at most 1 % of
    benign prompts reach (None where too few benign prompts were there to know it).

    Of the prompts it was tested on, `harmful_below` of `harmful` scored lower and `benign_reaching` of `benign` at
    least as high. With `withheld` there is no verdict, for that reason.
    """

    run_id: str
    name: str | None
    probability: float | None
    threshold: float | None
    flagged: bool | None
    harmful_below: int
    harmful: int
    benign_reaching: int
    benign: int
    withheld: str | None = None

    @classmethod
    def withheld_for(cls, run_id: str, why: str) -> "DetectorVerdict":
        return cls(run_id, None, None, None, None, 0, 0, 0, 0, why)


@dataclass(frozen=True)
class PlaygroundAnswer:
    """`label`, `rule` and `span` are the judge's; `finished` is False for an answer cut at its longest length.

    `frequency` (selections per token, sums to k over experts) and `probability` (mean router probability) are
    [windows, layers, experts] over `window_tokens` [windows] tokens; NaN for a window without any. `tokens` has the
    routing of every single one. `withheld` says by name
    (margin, distance, detectors) why something is missing.
    """

    text: str
    finished: bool
    label: AnswerLabel
    rule: str | None
    span: tuple[int, int] | None
    judge: str
    margin: float | None
    margin_run_id: str | None
    layers: tuple[int, ...]
    top_k: int
    window_tokens: tuple[int, ...]
    frequency: FloatArray
    probability: FloatArray
    tokens: TokenTrace
    certificate: dict[str, Any]
    distance: Distance | None
    detectors: tuple[DetectorVerdict, ...]
    withheld: dict[str, str]

    def __repr__(self) -> str:
        """Label and sizes, never the text: answers do not belong into a log."""
        _, layers, experts = self.frequency.shape
        return f"PlaygroundAnswer({self.label}, {layers} layers × {experts} experts)"

    def cells(self, quantity: str, window: Window) -> FloatArray:
        """float32 [layers, experts] of "frequency" or "probability" in one window."""
        array: FloatArray = self.probability if quantity == "probability" else self.frequency
        cells: FloatArray = array[WINDOWS.index(window)]
        return cells

    def covered(self) -> "PlaygroundAnswer":
        """The same without the answer's text, the place in it that decided, and the texts of its tokens."""
        parts = zip(self.tokens.tokens, self.tokens.parts, strict=True)
        texts = tuple("" if part == "response" else text for text, part in parts)
        return replace(self, text="", span=None, tokens=replace(self.tokens, tokens=texts))

    def without_prompt(self) -> "PlaygroundAnswer":
        """The same without the texts of the prompt's tokens."""
        parts = zip(self.tokens.tokens, self.tokens.parts, strict=True)
        texts = tuple("" if part in ("prompt", "boundary") else text for text, part in parts)
        return replace(self, tokens=replace(self.tokens, tokens=texts))

    def to_bytes(self) -> bytes:
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        tokens = np.frombuffer(self.tokens.to_bytes(), dtype=np.uint8)
        plain = asdict(replace(self, tokens=None))  # type: ignore[arg-type]  # it is packed by itself
        meta = {name: value for name, value in plain.items() if name not in (*_ARRAYS, "tokens")}
        return pack({**arrays, "tokens": tokens}, meta)

    @classmethod
    def from_bytes(cls, blob: bytes) -> "PlaygroundAnswer":
        """The inverse of `to_bytes`. Raises ExpertScopeError for a damaged blob."""
        arrays, meta = unpack(blob)
        own: dict[str, Any] = {**meta, **arrays}
        own["tokens"] = TokenTrace.from_bytes(arrays["tokens"].tobytes())
        own |= {name: tuple(meta[name]) for name in ("layers", "window_tokens")}
        own["span"] = None if meta["span"] is None else (int(meta["span"][0]), int(meta["span"][1]))
        own["distance"] = None if meta["distance"] is None else _distance(meta["distance"])
        own["detectors"] = tuple(DetectorVerdict(**one) for one in meta["detectors"])
        return cls(**own)


_ARRAYS = ("frequency", "probability")


def _distance(one: Mapping[str, Any]) -> Distance:
    groups = tuple(GroupDistance(**{**group, "per_layer": tuple(group["per_layer"])}) for group in one["groups"])
    return Distance(**{**one, "layers": tuple(one["layers"]), "groups": groups})
