"""Prompts as every other part sees them: immutable, labelled where the user labelled them, paired where paired."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Label = Literal["harmful", "benign"]


@dataclass(frozen=True)
class Prompt:
    """One request to the model. `pair_id` joins a harmful prompt to its matched benign twin."""

    id: str
    text: str
    label: Label | None = None
    topic: str | None = None
    pair_id: str | None = None


@dataclass(frozen=True)
class Pair:
    """A harmful prompt and the benign one of the same topic and form."""

    pair_id: str
    topic: str
    harmful: Prompt
    benign: Prompt


@dataclass(frozen=True)
class PromptSet:
    """A named list of prompts. Ids are unique; order is the file's. `notes` say what an importer left out, and why."""

    name: str
    prompts: tuple[Prompt, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

    def __repr__(self) -> str:
        """Counts, never the texts: prompts do not belong into a log or at the end of a notebook's cell."""
        labels = f"{len(self.labelled('harmful'))} harmful, {len(self.labelled('benign'))} benign"
        groups = f"{len(self.topics)} topics, {len(self.pairs)} pairs"
        return f"PromptSet({self.name!r}: {len(self)} prompts, {labels}, {groups})"

    @cached_property
    def sha256(self) -> str:
        """Digest of the content (ids, texts, labels, topics, pairs), independent of name and file format."""
        rows = [[p.id, p.text, p.label, p.topic, p.pair_id] for p in self.prompts]
        return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()

    def labelled(self, label: Label) -> tuple[Prompt, ...]:
        return tuple(p for p in self.prompts if p.label == label)

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """The topics in alphabetical order."""
        return tuple(sorted({p.topic for p in self.prompts if p.topic is not None}))

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every pair that has exactly one harmful and one benign member, in the order of its harmful member."""
        benign = {p.pair_id: p for p in self.labelled("benign") if p.pair_id is not None}
        return tuple(
            Pair(h.pair_id, h.topic or "", h, benign[h.pair_id])
            for h in self.labelled("harmful")
            if h.pair_id is not None and h.pair_id in benign
        )
