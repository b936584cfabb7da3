"""Which of a token trace's texts may leave the server. The API and the pages both ask here, and nowhere else."""

from analysis.routing.token_trace import Part, TokenTrace
from backend.settings import Settings

_OF_PROMPTS: frozenset[Part] = frozenset({"prompt", "boundary"})
_OF_ANSWERS: frozenset[Part] = frozenset({"response"})


def hidden_parts(settings: Settings) -> frozenset[Part]:
    """The parts whose texts are never sent. The chat template's own tokens say nothing of anybody's words; the boundary
    token does where a model has no template.
    """
    hidden: frozenset[Part] = _OF_ANSWERS if settings.hide_completions else frozenset()
    return hidden | _OF_PROMPTS if settings.hide_prompts else hidden


def readable_texts(trace: TokenTrace, settings: Settings) -> list[str | None]:
    """The text of each token, None for one that the server hides."""
    hidden = hidden_parts(settings)
    return [None if part in hidden else text for text, part in zip(trace.tokens, trace.parts, strict=True)]
