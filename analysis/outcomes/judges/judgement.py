"""What a judge says of one answer, and what every judge can do. Shared by all judges; judges nothing itself."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

Label = Literal["refusal", "partial", "compliance", "degenerate", "unjudged"]


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive) of the completion as it was given."""

    start: int
    end: int


@dataclass(frozen=True)
class Judgement:
    """The label of one answer, the rule that decided it and where in the completion it matched.

    `rule` and `span` are None where nothing matched (an ordinary answer) or where no single place is to blame.
    """

    label: Label
    rule: str | None = None
    span: Span | None = None


class Judge(Protocol):
    """Labels answers. The same name and version always give the same labels."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def judge(self, prompt: str, completion: str, *, finished: bool = True) -> Judgement:
        """`finished` is False when the answer was cut at the token limit instead of ending by itself."""
        ...
