"""Whether texts may leave the server: the one place that decides, for every page and every route.

Ids, labels, topics, margins and counts are never held back.
"""

from dataclasses import dataclass

from backend.settings import Settings

PROMPTS_HIDDEN = "The text of prompts is hidden on this server."
ANSWERS_HIDDEN = "The text of answers is hidden on this server."


@dataclass(frozen=True)
class Content:
    """What `hide_prompts` and `hide_completions` leave of a text: all of it, or None."""

    settings: Settings

    @property
    def shows_prompts(self) -> bool:
        return not self.settings.hide_prompts

    @property
    def shows_completions(self) -> bool:
        return not self.settings.hide_completions

    def prompt(self, text: str | None) -> str | None:
        """The text of a prompt, or None where prompts are hidden."""
        return text if self.shows_prompts else None

    def completion(self, text: str | None) -> str | None:
        """The text of an answer, or None where answers are hidden."""
        return text if self.shows_completions else None
