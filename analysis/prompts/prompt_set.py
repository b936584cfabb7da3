"""Prompts as every other part sees them: immutable, labelled where the user labelled them, paired where paired."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Label = Literal["harmful", "benign"]
Group = Literal["regular", "jailbreak"]


@dataclass(frozen=True)
class Prompt:
    """One request to the model. `pair_id` joins a harmful prompt to its matched benign twin.

    `group` is "jailbreak" for a harmful request in a wrapping that is meant to slip past refusal; such a prompt may
    carry the `pair_id` of the regular request that it wraps.
    """

    id: str
    text: str
    label: Label | None = None
    topic: str | None = None
    pair_id: str | None = None
    group: Group = "regular"

    @property
    def side(self) -> Label | None:
        """The label of a regular prompt; None for a jailbreak, which is on neither side of the contrasts."""
        return self.label if self.group == "regular" else None


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
        """Digest of the content (ids, texts, labels, topics, pairs, groups), independent of name and file format."""
        rows = [
            # A regular prompt's group is left out: sets without jailbreaks keep the digest they always had.
            [p.id, p.text, p.label, p.topic, p.pair_id, *([] if p.group == "regular" else [p.group])]
            for p in self.prompts
        ]
        return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()

    def labelled(self, label: Label) -> tuple[Prompt, ...]:
        """The regular prompts of a label. Jailbreaks are not among the harmful ones: they are `jailbreaks`."""
        return tuple(p for p in self.prompts if p.side == label)

    @cached_property
    def jailbreaks(self) -> tuple[Prompt, ...]:
        return tuple(p for p in self.prompts if p.group == "jailbreak")

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """The topics in alphabetical order."""
        return tuple(sorted({p.topic for p in self.prompts if p.topic is not None}))

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every pair that has exactly one regular harmful and one benign member, in the order of the harmful one."""
        benign = {p.pair_id: p for p in self.labelled("benign") if p.pair_id is not None}
        return tuple(
            Pair(h.pair_id, h.topic or "", h, benign[h.pair_id])
            for h in self.labelled("harmful")
            if h.pair_id is not None and h.pair_id in benign
        )
