"""How deep an audit goes."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from analysis.errors import InputError

Preset = Literal["quick", "standard", "full"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


@dataclass(frozen=True)
class AuditSettings:
    """`prompts` bounds the harmful and the benign prompts used (None = all); `null_prompts` those answered under each
    null set. `forced_tokens` bounds the answers that are forced on harmful prompts. The dose curve goes up to `dose`
    experts, with `dose_nulls` random sets at each size. `token_bytes` bounds, uncompressed, the single tokens that are
    kept: of all prompts where they fit, else of a sample of whole pairs over all topics.
    """

    preset: Preset = "standard"
    seed: int = 0
    judge: str = "rules"
    second_judge: str | None = None
    prompts: int | None = 300
    max_new_tokens: int = 64
    batch_tokens: int = 8_192
    candidates: int = 16
    null_sets: int = 100
    null_generations: int = 20
    null_prompts: int = 50
    forced_tokens: int = 16
    dose: int = 8
    dose_nulls: int = 100
    token_bytes: int = 32_000_000

    @classmethod
    def from_preset(
        cls, preset: str, *, seed: int = 0, judge: str = "rules", second_judge: str | None = None
    ) -> "AuditSettings":
        """The settings of a preset. Raises InputError for a name it does not know."""
        sizes: dict[str, dict[str, Any]] = {
            "quick": {"prompts": 60, "max_new_tokens": 32, "null_prompts": 16, "dose_nulls": 20},
            "standard": {},
            "full": {
                "prompts": None,
                "max_new_tokens": 256,
                "null_sets": 200,
                "null_generations": 50,
                "null_prompts": 100,
                "dose": 16,
                "dose_nulls": 200,
            },
        }
        if preset not in sizes:
            raise InputError(f"unknown preset '{preset}': expected one of {', '.join(sizes)}", field="preset")
        return cls(preset=preset, seed=seed, judge=judge, second_judge=second_judge, **sizes[preset])  # type: ignore[arg-type]
