"""How much a run has to compute, in tokens through the model: what estimates of its time are scaled by.

A forward pass of n tokens counts n + PASS: on small batches most of a pass is the same whatever goes through it.
Answers count at their full length. These are sizes to compare two runs by, not promises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.audit_settings import AuditSettings
from analysis.tuning.settings import TuneSettings
from backend.services.records import RunKind

PASS = 200
"""What a forward pass costs beside its tokens, in tokens."""
TEMPLATE_TOKENS = 10
CHARS_PER_TOKEN = 4
SCANNED = 40
"""Ablations of single experts and of growing sets that an audit's search makes."""
CURVE = 1.25
"""Times that a dose curve's random sets are asked: it mostly ends at its first size, where refusal is gone."""
TRAINING = 3
"""A step of training is a pass forward and a pass back that costs two."""
BATCH = 16


@dataclass(frozen=True)
class PromptSize:
    """How many prompts of each label there are, and how long they are on average, in characters."""

    harmful: int
    benign: int
    other: int
    chars: float

    def bounded(self, limit: int | None) -> "PromptSize":
        """The prompts that a preset takes of them."""
        if limit is None:
            return self
        return PromptSize(min(self.harmful, limit), min(self.benign, limit), self.other, self.chars)

    @property
    def prompts(self) -> int:
        return self.harmful + self.benign + self.other

    @property
    def tokens(self) -> float:
        """Tokens of one prompt, with its chat template."""
        return self.chars / CHARS_PER_TOKEN + TEMPLATE_TOKENS


def work(kind: RunKind, preset: str, size: PromptSize, parameters: Mapping[str, Any]) -> dict[str, float]:
    """Tokens by stage, as the timings of a report name them; kinds other than an audit have the one stage "total"."""
    settings = AuditSettings.from_preset(preset)
    used = size.bounded(settings.prompts)
    length = _given(parameters, "max_new_tokens", settings.max_new_tokens)
    if kind == "audit":
        return _audit(used, settings)
    if kind == "trace":
        return {"total": _answers(used.prompts, used.tokens, length)}
    if kind == "detect":
        return {"total": 2 * _pass(used.prompts, used.tokens)}
    if kind == "mask":
        margins = (settings.null_sets + 2) * _pass(used.harmful + used.benign, used.tokens)
        answers = 3 * _answers(used.prompts, used.tokens, length)
        nulls = settings.null_generations * _answers(min(used.harmful, settings.null_prompts), used.tokens, length)
        return {"total": margins + answers + nulls}
    return {"total": _tune(used, preset, parameters)}


def _audit(used: PromptSize, settings: AuditSettings) -> dict[str, float]:
    half = _pass((used.harmful + used.benign) / 2, used.tokens)
    nulls = settings.null_generations * _answers(
        min(used.harmful / 2, settings.null_prompts), used.tokens, settings.max_new_tokens
    )
    return {
        "capture": _answers(used.prompts, used.tokens, settings.max_new_tokens),
        "forced": 2 * _pass(used.harmful, used.tokens + settings.forced_tokens),
        "criteria": (SCANNED + settings.candidates) * half,
        "confirmation": (settings.null_sets + settings.candidates) * half,
        "controls": CURVE * settings.dose_nulls * half,
        "answers": nulls + _answers((used.harmful + used.benign) / 2, used.tokens, settings.max_new_tokens),
    }


def _tune(used: PromptSize, preset: str, parameters: Mapping[str, Any]) -> float:
    settings = TuneSettings.from_preset(preset, steps=parameters.get("steps"))
    if parameters.get("controls") is not None:
        settings = settings.with_controls(int(parameters["controls"]))
    sets = 1 + settings.matched_sets + settings.committee_sets + settings.last_layer_sets + 2 * settings.whole_controls
    half = (used.harmful + used.benign) / 2
    training = TRAINING * settings.steps * _pass(BATCH, used.tokens + LONGEST_TARGET)
    measuring = 3 * _answers(half, used.tokens, settings.max_new_tokens)
    return sets * (training + measuring) + measuring


LONGEST_TARGET = 16
"""Tokens of an answer that a step of tuning learns."""


def _pass(prompts: float, tokens: float) -> float:
    return prompts * tokens + PASS


def _answers(prompts: float, tokens: float, length: int) -> float:
    """Reading the prompts, and writing `length` tokens of an answer to each."""
    return _pass(prompts, tokens) + length * (prompts + PASS)


def _given(parameters: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = parameters.get(name)
    return otherwise if value is None else int(value)
