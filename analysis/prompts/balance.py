"""How the prompts of a set are spread over topics and labels, and what that leaves open.

Called by the import's preview, the page of a prompt set and the estimate of a run.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from analysis.prompts.prompt_set import Prompt

ENOUGH = 0.5
"""At least this share of the harmful prompts must be of a topic that benign prompts have too."""

AdviceCode = Literal[
    "no_labels",
    "no_harmful",
    "no_benign",
    "unlabelled",
    "no_pairs",
    "some_pairs",
    "one_topic",
    "few_topics",
    "confounded",
]


@dataclass(frozen=True)
class TopicBalance:
    """One topic's prompts by label, jailbreaks apart. `topic` is None for prompts without one."""

    topic: str | None
    harmful: int
    benign: int
    jailbreak: int
    unlabelled: int
    pairs: int

    @property
    def prompts(self) -> int:
        return self.harmful + self.benign + self.jailbreak + self.unlabelled


@dataclass(frozen=True)
class Advice:
    """One thing that this spread leaves open, in words."""

    code: AdviceCode
    text: str


@dataclass(frozen=True)
class Balance:
    """A set's topics in alphabetical order, prompts without a topic last."""

    topics: tuple[TopicBalance, ...]

    @property
    def harmful(self) -> int:
        return sum(one.harmful for one in self.topics)

    @property
    def benign(self) -> int:
        return sum(one.benign for one in self.topics)

    @property
    def jailbreak(self) -> int:
        return sum(one.jailbreak for one in self.topics)

    @property
    def unlabelled(self) -> int:
        return sum(one.unlabelled for one in self.topics)

    @property
    def pairs(self) -> int:
        return sum(one.pairs for one in self.topics)

    @property
    def prompts(self) -> int:
        return sum(one.prompts for one in self.topics)

    @property
    def named(self) -> tuple[TopicBalance, ...]:
        """The topics that have a name."""
        return tuple(one for one in self.topics if one.topic is not None)

    @property
    def shared(self) -> float | None:
        """The share of harmful prompts whose topic has benign ones too, as `analysis.evidence.confounding` counts.

        None without two topics, or without harmful and benign prompts that have one.
        """
        harmful = sum(one.harmful for one in self.named)
        if not harmful or not any(one.benign for one in self.named):
            return None
        if sum(bool(one.harmful or one.benign) for one in self.named) < 2:
            return None
        return sum(one.harmful for one in self.named if one.benign) / harmful

    def advice(self) -> tuple[Advice, ...]:
        """What the spread leaves open, the gravest first."""
        return tuple(Advice(code, text) for code, text in (*self._of_labels(), *self._of_topics(), *self._of_pairs()))

    def _of_labels(self) -> Iterable[tuple[AdviceCode, str]]:
        if not self.harmful and not self.benign:
            yield (
                "no_labels",
                "No prompt is labelled harmful or benign: routing can be traced, refusal cannot be judged.",
            )
            return
        if not self.harmful:
            yield "no_harmful", "No harmful prompts: refusal cannot be measured."
        if not self.benign:
            yield "no_benign", "No benign prompts: over-refusal cannot be measured."
        if self.unlabelled:
            count = f"{self.unlabelled:,} prompt{'s' if self.unlabelled != 1 else ''}"
            yield "unlabelled", f"{count} without a label: traced, but not judged as either."

    def _of_topics(self) -> Iterable[tuple[AdviceCode, str]]:
        from analysis.statistics import FEWEST_CLUSTERS  # numpy, which whoever only reads prompts need not wait for

        topics = len(self.named)
        if topics < 2:
            yield (
                "one_topic",
                "Fewer than two topics: topics cannot be compared, and there are no intervals over topics.",
            )
        elif topics < FEWEST_CLUSTERS:
            yield (
                "few_topics",
                f"Fewer than {FEWEST_CLUSTERS} topics: no intervals over topics; effects speak of these topics alone.",
            )
        share = self.shared
        if share is not None and share < ENOUGH:
            yield (
                "confounded",
                f"Topic and harm are confounded: {100 * share:.0f} % of the harmful prompts share a topic with benign.",
            )

    def _of_pairs(self) -> Iterable[tuple[AdviceCode, str]]:
        possible = min(self.harmful, self.benign)
        if possible and not self.pairs:
            yield "no_pairs", "No matched pairs: topic against safety cannot be measured."
        elif 2 * self.pairs < possible:
            yield (
                "some_pairs",
                f"Only {self.pairs:,} of {possible:,} possible pairs: topic against safety rests on those alone.",
            )


def balance_of(prompts: Iterable[Prompt]) -> Balance:
    """Counts every prompt once; a pair belongs to its harmful member's topic."""
    everything = tuple(prompts)
    counts: Counter[tuple[str | None, str]] = Counter((one.topic, _side(one)) for one in everything)
    benign = {one.pair_id for one in everything if one.side == "benign" and one.pair_id is not None}
    pairs = Counter(one.topic for one in everything if one.side == "harmful" and one.pair_id in benign)
    topics = sorted({one.topic for one in everything}, key=lambda topic: (topic is None, topic or ""))
    return Balance(
        tuple(
            TopicBalance(
                topic,
                harmful=counts[topic, "harmful"],
                benign=counts[topic, "benign"],
                jailbreak=counts[topic, "jailbreak"],
                unlabelled=counts[topic, "unlabelled"],
                pairs=pairs[topic],
            )
            for topic in topics
        )
    )


def _side(prompt: Prompt) -> str:
    return "jailbreak" if prompt.group == "jailbreak" else prompt.side or "unlabelled"
