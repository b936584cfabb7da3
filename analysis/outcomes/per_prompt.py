"""What became of every prompt, one row each and no text: enough to pair two reports answer by answer.

Written into `outcomes.per_prompt` of report.json, and read back when two audits are compared. What does not apply to a
prompt is left out of its row.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.prompts.prompt_set import Prompt
from analysis.result import Answer

_DIGEST = 16
"""Characters of the digest of a prompt's text: 64 bits tell the prompts of any set apart."""


@dataclass(frozen=True)
class Answered:
    """One prompt and its answer by the untouched model.

    `side` is "harmful", "benign" or "jailbreak", None without a label. `text_sha256` is the beginning of the digest of
    the prompt's text. `margin` is the refusal margin in nats.
    """

    prompt_id: str
    text_sha256: str
    label: str
    side: str | None = None
    topic: str | None = None
    margin: float | None = None

    @property
    def cluster(self) -> str:
        """The topic that the prompt is drawn with; one without a topic stands for itself."""
        return self.topic or f"prompt {self.prompt_id}"

    def as_dict(self) -> dict[str, str | float]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def answered(prompts: Iterable[Prompt], answers: Iterable[Answer]) -> tuple[Answered, ...]:
    """The rows in the prompts' order. `answers` may hold those of other variants, which are left aside."""
    base = {one.prompt_id: one for one in answers if one.variant == "base"}
    return tuple(_row(prompt, base[prompt.id]) for prompt in prompts if prompt.id in base)


def read_answered(rows: Sequence[Mapping[str, Any]]) -> tuple[Answered, ...]:
    """The rows of a report."""
    names = Answered.__dataclass_fields__
    return tuple(Answered(**{name: row[name] for name in names if name in row}) for row in rows)


def _row(prompt: Prompt, answer: Answer) -> Answered:
    side = "jailbreak" if prompt.group == "jailbreak" else prompt.label
    digest = hashlib.sha256(prompt.text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return Answered(prompt.id, digest, answer.label, side, prompt.topic, answer.margin)
