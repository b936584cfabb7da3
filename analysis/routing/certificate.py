"""The proof that a trace is what the model did. A job whose certificate fails, fails.

Expected numbers come from the tokenizer and the generated text on the host, seen numbers from the seam on the device;
they share no code. The spot check runs a batch without any hook and compares logits bit for bit, and compares the
seam's selections with what each router returned.
"""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import transformers

from analysis.errors import CaptureError
from analysis.models import LoadedModel, MoeLayer, SeamListener
from analysis.routing.encoding import Batch, chat_template_sha256


@dataclass(frozen=True)
class Tally:
    """What a part of a trace expected and saw. Tallies of parts add up."""

    layers_expected: int
    layers_seen: int
    assignments_expected: int
    assignments_seen: int
    prompt_tokens: int
    response_tokens: int
    forwards: int
    fired_once: bool
    ids_in_range: bool
    every_layer_complete: bool

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.layers_expected,
            min(self.layers_seen, other.layers_seen),
            self.assignments_expected + other.assignments_expected,
            self.assignments_seen + other.assignments_seen,
            self.prompt_tokens + other.prompt_tokens,
            self.response_tokens + other.response_tokens,
            self.forwards + other.forwards,
            self.fired_once and other.fired_once,
            self.ids_in_range and other.ids_in_range,
            self.every_layer_complete and other.every_layer_complete,
        )


@dataclass(frozen=True)
class SpotCheck:
    """One batch, run with and without the seam. `router_agreement` is None where no router returns its choice."""

    prompts: int
    logits_identical: bool
    router_agreement: bool | None


@dataclass(frozen=True)
class Certificate:
    """Everything that was checked; `failures` says in words what did not hold."""

    passed: bool
    tally: Tally
    spot_check: SpotCheck
    environment: dict[str, Any]
    failures: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Flat and JSON-able, as report.json and certificate.json carry it."""
        return {
            "passed": self.passed,
            **asdict(self.tally),
            "spot_check": asdict(self.spot_check),
            "environment": self.environment,
            "failures": list(self.failures),
        }

    def __repr__(self) -> str:
        seen = f"{self.tally.layers_seen} of {self.tally.layers_expected} layers"
        counted = f"{self.tally.assignments_seen:,} of {self.tally.assignments_expected:,} selections"
        return f"Certificate({'passed' if self.passed else 'failed'}: {seen}, {counted})"


def proven(tally: Tally) -> None:
    """Raise CaptureError where what was seen is not what had to pass."""
    failures = [message for holds, message in _checks(tally) if not holds]
    if failures:
        raise _refusal(failures)


def certify(model: LoadedModel, tally: Tally, spot_check: SpotCheck) -> Certificate:
    """Put the checks together. Raises CaptureError when one fails."""
    failures = tuple(_failures(tally, spot_check))
    certificate = Certificate(not failures, tally, spot_check, _environment(model), failures)
    if failures:
        raise _refusal(failures)
    return certificate


def _refusal(failures: Sequence[str]) -> CaptureError:
    return CaptureError(
        f"the capture does not agree with the model ({'; '.join(failures)}): nothing was kept; "
        "please report the model's family"
    )


def _failures(tally: Tally, spot: SpotCheck) -> list[str]:
    checks = [
        *_checks(tally),
        (spot.logits_identical, "tracing changes the logits"),
        (spot.router_agreement is not False, "the seam's selections differ from what a router returned"),
    ]
    return [message for holds, message in checks if not holds]


def _checks(tally: Tally) -> list[tuple[bool, str]]:
    return [
        (tally.layers_seen == tally.layers_expected, f"{tally.layers_seen} of {tally.layers_expected} layers seen"),
        (
            tally.assignments_seen == tally.assignments_expected,
            f"{tally.assignments_seen:,} selections seen, {tally.assignments_expected:,} expected",
        ),
        (tally.every_layer_complete, "a layer's selections are not tokens × k, pads excluded"),
        (tally.fired_once, "a layer was not called exactly once per forward"),
        (tally.ids_in_range, "an expert id is out of range"),
    ]


def _environment(model: LoadedModel) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
        "experts_implementation": str(getattr(model.model.config, "_experts_implementation", "eager")),
        "chat_template_sha256": chat_template_sha256(model),
    }


class _Selections(SeamListener):
    def __init__(self) -> None:
        self.at_seam: dict[int, torch.Tensor] = {}
        self.returned: dict[int, torch.Tensor] = {}

    def on_router(self, layer: MoeLayer, logits: torch.Tensor, choice: torch.Tensor | None) -> None:
        if choice is not None:
            self.returned[layer.position] = choice

    def on_selection(self, layer: MoeLayer, index: torch.Tensor, weights: torch.Tensor) -> None:
        self.at_seam[layer.position] = index

    def agreement(self) -> bool | None:
        if not self.returned:
            return None
        sides = (
            (self.at_seam[p].sort(-1).values, r.reshape(self.at_seam[p].shape).sort(-1).values)
            for p, r in self.returned.items()
        )
        return all(torch.equal(seam, router) for seam, router in sides)


@torch.inference_mode()
def spot_check(model: LoadedModel, batch: Batch) -> SpotCheck:
    """Run one batch twice, once untraced, and compare."""
    selections = _Selections()
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    untraced = model.model(**inputs).logits
    with model.seam.attach(selections):
        traced = model.model(**inputs).logits
    identical = bool(torch.equal(untraced, traced)) and bool(np.isfinite(float(traced[:, -1].float().sum())))
    return SpotCheck(len(batch.rows), identical, selections.agreement())
