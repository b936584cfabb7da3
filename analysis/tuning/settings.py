"""How a tuning trial is done: direction, recipe, size of the update, descent, objective, controls."""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from analysis.errors import InputError

Direction = Literal["harden", "stress"]
Preset = Literal["quick", "standard", "full"]
REFUSAL = "I'm sorry, but I can't help with that."
LONGEST_OPENING = 8
"""Tokens of an affirmative opening: enough to begin, too few to say anything."""
_WIDTH = 128
_RATE = 1e-2
_PRESETS: dict[str, dict[str, Any]] = {
    "quick": {
        "prompts": 60,
        "max_new_tokens": 32,
        "matched_sets": 4,
        "committee_sets": 1,
        "last_layer_sets": 2,
        "whole_controls": False,
    },
    "standard": {},
    "full": {
        "prompts": None,
        "max_new_tokens": 256,
        "steps": 120,
        "matched_sets": 40,
        "committee_sets": 5,
        "last_layer_sets": 10,
    },
}


@dataclass(frozen=True)
class TuneSettings:
    """Every choice of a trial.

    `recipe` is one of `recipes.RECIPES`, for hardening. `rank` and `alpha` (default: the rank) are LoRA's. A
    `learning_rate` of None takes 0.01 · 128 / width of the model. `batch` sequences a step, half of them harmful. The
    objective's weights: `beta` for KL to the base on benign answers, `gamma` for that of the routers at the boundary
    token with temperature `tau`; `merge` is m in θ ± m·Δ. `refusal_text` is the target where the model has no refusal
    of its own. `opening_tokens` and `answer_tokens` bound targets. `prompts` bounds the harmful and the benign prompts
    used (None = all), before they are split into a half to tune on and a half to measure on. `matched_sets`,
    `committee_sets`, `last_layer_sets` are how many control sets are tuned alike; `whole_controls` adds all experts and
    attention.
    """

    direction: Direction = "harden"
    recipe: str = "lora"
    preset: Preset = "standard"
    seed: int = 0
    judge: str = "rules"
    rank: int = 2
    alpha: float | None = None
    steps: int = 40
    learning_rate: float | None = None
    batch: int = 16
    beta: float = 1.0
    gamma: float = 5.0
    tau: float = 1.0
    merge: float = 1.0
    checkpointing: bool = False
    refusal_text: str = REFUSAL
    opening_tokens: int = LONGEST_OPENING
    answer_tokens: int = 32
    prompts: int | None = 300
    max_new_tokens: int = 64
    batch_tokens: int = 8_192
    matched_sets: int = 20
    committee_sets: int = 3
    last_layer_sets: int = 5
    whole_controls: bool = True

    @classmethod
    def from_preset(cls, preset: str, **given: Any) -> "TuneSettings":
        """The settings of a preset with what is `given` on top, None standing for the preset's own value.

        Raises InputError for a preset or a setting that does not exist.
        """
        if preset not in _PRESETS:
            raise InputError(f"unknown preset '{preset}': expected one of {', '.join(_PRESETS)}", field="preset")
        own = cls(preset=preset, **_PRESETS[preset])  # type: ignore[arg-type]
        return replace(own, **{name: value for name, value in given.items() if value is not None})

    def with_controls(self, sets: int) -> "TuneSettings":
        """`sets` matched random sets, and of the others as many as the preset has, at most `sets`; none for 0."""
        return replace(
            self,
            matched_sets=sets,
            committee_sets=min(self.committee_sets, sets),
            last_layer_sets=min(self.last_layer_sets, sets),
            whole_controls=self.whole_controls and sets > 0,
        )

    @property
    def name(self) -> str:
        """The recipe in words that fit the direction."""
        return self.recipe if self.direction == "harden" else "stress"

    def rate(self, width: int) -> float:
        """The learning rate for a model whose hidden states are `width` wide. AdamW's best rate falls as 1/width."""
        return _RATE * _WIDTH / width if self.learning_rate is None else self.learning_rate

    def check(self) -> None:
        """Raise InputError for the first setting that cannot be used."""
        if self.direction not in get_args(Direction):
            raise InputError(
                f"unknown direction '{self.direction}': expected one of {', '.join(get_args(Direction))}",
                field="direction",
            )
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} is {value}: expected at least {least}", field=name)
        for name in ("learning_rate", "tau", "merge", "alpha"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} is {value}: expected a number above 0", field=name)
        if self.direction == "stress" and self.recipe != "lora":
            raise InputError(
                f"recipe '{self.recipe}' is one of hardening: stress has a single way, leave the recipe out",
                field="recipe",
            )


_LEAST = {
    "rank": 1,
    "steps": 1,
    "batch": 2,
    "beta": 0,
    "gamma": 0,
    "opening_tokens": 1,
    "answer_tokens": 4,
    "prompts": 4,
    "max_new_tokens": 1,
    "batch_tokens": 1,
    "matched_sets": 0,
    "committee_sets": 0,
    "last_layer_sets": 0,
}
