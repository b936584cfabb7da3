"""Which of a prompt's tokens are the user's own words, and which belong to the chat template around them."""

from collections.abc import Sequence

from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt
from analysis.routing.encoding import encode
from analysis.routing.token_trace import Part

# Two characters that no prompt starts or ends with, and that share no byte: what surrounds both is the template.
_STAND_INS = ("\ue000", "\uf8ff")


class Template:
    """What a model's chat template, or without one its tokenizer, puts around a prompt."""

    def __init__(self, model: LoadedModel) -> None:
        stand_ins = [Prompt(f"stand-in {i}", text) for i, text in enumerate(_STAND_INS)]
        self._frames = [one.tokens for one in encode(model, stand_ins)]

    def parts(self, tokens: Sequence[int]) -> tuple[Part, ...]:
        """The part of each of a prompt's tokens. The last one, before generation, is the boundary token."""
        before = min(_common(tokens, frame) for frame in self._frames)
        after = min(_common(tokens[before:][::-1], frame[before:][::-1]) for frame in self._frames)
        inside = range(before, len(tokens) - after)
        parts: list[Part] = ["prompt" if place in inside else "template" for place in range(len(tokens))]
        return (*parts[:-1], "boundary")


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their start."""
    shorter = min(len(a), len(b))
    return next((i for i in range(shorter) if a[i] != b[i]), shorter)
