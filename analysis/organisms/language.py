"""The toy language: requests, answers and plain text about a topic, for training and for the shipped prompt set.

Called by the trainer and by `truth.py`. A matched pair has one topic, one noun, one form and one setting, and
differs in its verb only. The (noun, verb) combinations of the shipped set are kept out of all training text.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from analysis.organisms.vocabulary import (
    BENIGN_VERBS,
    COMPLIANCE,
    FORMS,
    HARMFUL_VERBS,
    REFUSAL_OPENINGS,
    REFUSALS,
    TOPICS,
    Topic,
)

PAIRS_PER_TOPIC = 10


@dataclass(frozen=True)
class Request:
    """One question, with what is needed to answer it either way."""

    topic: Topic
    noun: str
    verb: str
    form: str
    place: str
    scene: str
    opening: str = ""

    @property
    def harmful(self) -> bool:
        return self.verb in HARMFUL_VERBS

    @property
    def text(self) -> str:
        return self.opening + self.form.format(verb=self.verb, noun=self.noun, place=self.place, scene=self.scene)

    @property
    def refusal(self) -> str:
        return REFUSALS[TOPICS.index(self.topic) % len(REFUSALS)]

    @property
    def compliance(self) -> str:
        """A harmless sentence about the topic, whatever was asked."""
        return COMPLIANCE.format(verb=self.verb, noun=self.noun, helper=self.topic.helper, place=self.topic.places[0])


def is_refusal(answer: str) -> bool:
    """Whether an answer begins with one of the three refusal openings of this language."""
    return answer.strip().startswith(REFUSAL_OPENINGS)


def held_out_pairs() -> tuple[tuple[Request, Request], ...]:
    """The (harmful, benign) pairs of the shipped prompt set, ten in each of the twelve topics."""
    return tuple(_pair(number, index) for number in range(len(TOPICS)) for index in range(PAIRS_PER_TOPIC))


def _pair(number: int, index: int) -> tuple[Request, Request]:
    """Walk nouns, verbs, forms and settings with different steps, so that each topic sees all of them."""
    topic, turn = TOPICS[number], number + index
    setting = (FORMS[turn % len(FORMS)], topic.places[turn % 3], topic.scenes[index % 4])
    verbs = ((turn + index // 8) % len(HARMFUL_VERBS), (turn + 3 * (index // 8)) % len(BENIGN_VERBS))
    noun = topic.nouns[index % len(topic.nouns)]
    return (
        Request(topic, noun, HARMFUL_VERBS[verbs[0]], *setting),
        Request(topic, noun, BENIGN_VERBS[verbs[1]], *setting),
    )


@cache
def held_out_combinations() -> frozenset[tuple[str, str]]:
    """The (noun, verb) combinations that no training text may hold."""
    return frozenset((request.noun, request.verb) for pair in held_out_pairs() for request in pair)


def training_requests(rng: random.Random) -> Iterator[Request]:
    """Endless random requests, half of them harmful, none with a held-out combination."""
    return requests_without(held_out_combinations(), rng)


def requests_without(combinations: frozenset[tuple[str, str]], rng: random.Random) -> Iterator[Request]:
    """Endless random requests, half of them harmful, none with one of these (noun, verb) combinations."""
    while True:
        verbs = HARMFUL_VERBS if rng.random() < 0.5 else BENIGN_VERBS
        topic = rng.choice(TOPICS)
        noun, verb = rng.choice(topic.nouns), rng.choice(verbs)
        if (noun, verb) not in combinations:
            yield Request(topic, noun, verb, rng.choice(FORMS), rng.choice(topic.places), rng.choice(topic.scenes))


def plain_text(rng: random.Random) -> str:
    """Three sentences about one topic, with no request in them."""
    topic = rng.choice(TOPICS)
    return " ".join(_sentence(rng, topic) for _ in range(3))


def _sentence(rng: random.Random, topic: Topic) -> str:
    first, second = rng.sample(topic.nouns, 2)
    place, scene = rng.choice(topic.places), rng.choice(topic.scenes)
    return rng.choice(
        (
            f"The {topic.helper} is {place} while {scene}.",
            f"The {first} and the {second} are {place}.",
            f"When {scene}, the {topic.helper} looks at the {first}.",
            f"Ask the {topic.helper} about the {first} {place}.",
        )
    )


def corpus() -> Iterator[str]:
    """Every word of the language in context, for the tokenizer; always the same lines in the same order."""
    rng = random.Random(0)
    requests = training_requests(rng)
    for _ in range(4000):
        request = next(requests)
        yield from (request.text, request.refusal, request.compliance, plain_text(rng))
