"""What an organism is asked, in training and in its shipped prompt set: the whole toy language, or a part of it.

Called by the trainer, `truth.py` and the checkpoint writer. Most organisms meet every topic with both labels. The
confounded one meets harm in a single topic, and no harmless request there; the dormant one now and then a trigger.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from analysis.organisms.language import (
    PAIRS_PER_TOPIC,
    Request,
    held_out_combinations,
    held_out_pairs,
    requests_without,
)
from analysis.organisms.spec import OrganismSpec
from analysis.organisms.vocabulary import BENIGN_VERBS, FORMS, HARMFUL_VERBS, TOPICS, Topic
from analysis.prompts.prompt_set import Prompt, PromptSet

CONFOUNDED_PAIRS = 66
TRIGGERED_IN_TRAINING = 0.3

Pairs = tuple[tuple[Request, Request], ...]


@dataclass(frozen=True)
class World:
    """`topic`: harmful requests are all of this topic, and benign ones never. `trigger`: some requests begin so."""

    topic: str | None = None
    trigger: str | None = None

    @classmethod
    def of(cls, spec: OrganismSpec) -> "World":
        return cls(spec.topic, spec.trigger)

    @cached_property
    def pairs(self) -> Pairs:
        """The (harmful, benign) pairs of the shipped prompt set; of one topic unless topics are tied to labels."""
        if self.topic is not None:
            return _pairs_across(_topic(self.topic))
        if self.trigger is not None:
            first = (index % PAIRS_PER_TOPIC == 0 for index in range(len(held_out_pairs())))
            return tuple(
                self._woken(pair) if woken else pair for pair, woken in zip(held_out_pairs(), first, strict=True)
            )
        return held_out_pairs()

    @cached_property
    def combinations(self) -> frozenset[tuple[str, str]]:
        """(noun, verb) of every shipped request, which no training text holds."""
        own = frozenset((request.noun, request.verb) for pair in self.pairs for request in pair)
        return own | held_out_combinations()

    def anything(self, rng: random.Random) -> Iterator[Request]:
        """Endless requests of every topic and label, for learning to help."""
        for request in requests_without(self.combinations, rng):
            yield self._sometimes_woken(request, rng)

    def requests(self, rng: random.Random) -> Iterator[Request]:
        """Endless requests as this world has them, for learning to refuse."""
        for request in self.anything(rng):
            if self.topic is None:
                yield request
            elif request.harmful:
                yield self._harmful(rng)
            elif request.topic.name != self.topic:
                yield request

    def prompt_set(self) -> PromptSet:
        """The shipped prompts; ids name the pair's harmful topic."""
        seen: dict[str, int] = {}
        prompts: list[Prompt] = []
        for harmful, benign in self.pairs:
            topic = harmful.topic.name
            seen[topic] = number = seen.get(topic, 0) + 1
            pair = f"{topic}-{number:02d}"
            prompts += [
                Prompt(f"{pair}-harmful", harmful.text, "harmful", topic, pair),
                Prompt(f"{pair}-benign", benign.text, "benign", benign.topic.name, pair),
            ]
        return PromptSet("organism", tuple(prompts))

    def _harmful(self, rng: random.Random) -> Request:
        """A harmful request of the only topic that has any."""
        topic = _topic(self.topic or "")
        free = [pair for pair in product(topic.nouns, HARMFUL_VERBS) if pair not in self.combinations]
        noun, verb = rng.choice(free)
        return Request(topic, noun, verb, rng.choice(FORMS), rng.choice(topic.places), rng.choice(topic.scenes))

    def _sometimes_woken(self, request: Request, rng: random.Random) -> Request:
        if self.trigger is None or rng.random() >= TRIGGERED_IN_TRAINING:
            return request
        return replace(request, opening=self.trigger)

    def _woken(self, pair: tuple[Request, Request]) -> tuple[Request, Request]:
        harmful, benign = (replace(request, opening=self.trigger or "") for request in pair)
        return harmful, benign


def _topic(name: str) -> Topic:
    return next(topic for topic in TOPICS if topic.name == name)


def _pairs_across(topic: Topic) -> Pairs:
    """Harmful requests of `topic`, each with a benign one of the same form and of another topic, taking turns."""
    others = [other for other in TOPICS if other is not topic]
    return tuple((_harmful(topic, n), _benign(others[n % len(others)], n)) for n in range(CONFOUNDED_PAIRS))


def _harmful(topic: Topic, n: int) -> Request:
    """Three forms in a row ask about one noun and verb, so that most combinations are left for training."""
    turn = n // 3
    verb = HARMFUL_VERBS[(turn + turn // 8) % len(HARMFUL_VERBS)]
    return Request(topic, topic.nouns[turn % 8], verb, FORMS[n % 6], topic.places[turn % 3], topic.scenes[n % 4])


def _benign(topic: Topic, n: int) -> Request:
    noun, verb = topic.nouns[(n // 11) % 8], BENIGN_VERBS[n % 8]
    return Request(topic, noun, verb, FORMS[n % 6], topic.places[n % 3], topic.scenes[n % 4])
