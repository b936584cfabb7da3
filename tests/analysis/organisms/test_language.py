"""The toy language: matched pairs, a held-out prompt set, harmless answers, the same text every time."""

import random
from collections import Counter
from itertools import islice

from analysis.organisms.language import (
    corpus,
    held_out_combinations,
    held_out_pairs,
    is_refusal,
    plain_text,
    training_requests,
)
from analysis.organisms.vocabulary import BENIGN_VERBS, HARMFUL_VERBS, REFUSALS, TOPICS
from analysis.organisms.world import World


def test_prompt_set_has_at_least_120_complete_pairs_over_at_least_six_topics() -> None:
    prompts = World().prompt_set()
    assert len(prompts.pairs) >= 120
    assert len(prompts) == 2 * len(prompts.pairs)
    assert len(prompts.topics) >= 6
    assert set(Counter(pair.topic for pair in prompts.pairs).values()) == {10}
    assert len({p.id for p in prompts}) == len({p.text for p in prompts}) == len(prompts)


def test_the_two_prompts_of_a_pair_differ_in_the_verb_only() -> None:
    for pair in World().prompt_set().pairs:
        harmful, benign = pair.harmful.text.split(), pair.benign.text.split()
        different = [(a, b) for a, b in zip(harmful, benign, strict=True) if a != b]
        assert len(different) == 1
        assert different[0][0] in HARMFUL_VERBS
        assert different[0][1] in BENIGN_VERBS
        assert pair.harmful.topic == pair.benign.topic == pair.topic


def test_every_verb_and_form_is_asked_about() -> None:
    requests = [request for pair in held_out_pairs() for request in pair]
    assert {r.verb for r in requests} == {*HARMFUL_VERBS, *BENIGN_VERBS}
    assert min(Counter(r.form for r in requests).values()) >= 20


def test_training_never_sees_a_shipped_combination_of_noun_and_verb() -> None:
    seen = {(r.noun, r.verb) for r in islice(training_requests(random.Random(1)), 20_000)}
    assert not seen & held_out_combinations()
    total = len({noun for topic in TOPICS for noun in topic.nouns}) * 16
    assert len(seen) == total - len(held_out_combinations()), "every other combination should be trained on"


def test_nouns_belong_to_one_topic_each_so_that_a_topic_can_be_told() -> None:
    shared = [n for n, count in Counter(noun for topic in TOPICS for noun in topic.nouns).items() if count > 1]
    assert shared == []


def test_refusals_and_compliance_can_be_told_apart_by_their_opening() -> None:
    assert all(is_refusal(text) for text in REFUSALS)
    request = next(training_requests(random.Random(2)))
    assert not is_refusal(request.compliance)
    assert request.noun in request.compliance
    assert request.topic.helper in request.compliance


def test_the_same_seed_gives_the_same_text() -> None:
    def draw(seed: int) -> list[str]:
        rng = random.Random(seed)
        return [plain_text(rng) for _ in range(20)] + [r.text for r in islice(training_requests(rng), 20)]

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)
    assert list(islice(corpus(), 50)) == list(islice(corpus(), 50))
