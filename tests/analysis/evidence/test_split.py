"""Pairs stay together, topics stay whole, sizes are kept."""

import pytest

from analysis.evidence.split import halves, subset
from analysis.prompts.prompt_set import Prompt, PromptSet


def pairs(topics: int, each: int) -> PromptSet:
    prompts = [
        Prompt(f"{label}-{topic}-{i}", f"{label} {topic} {i}", label, f"topic {topic}", f"{topic}-{i}")
        for topic in range(topics)
        for i in range(each)
        for label in ("harmful", "benign")
    ]
    return PromptSet("pairs", tuple(prompts))


def test_halves_share_no_topic_and_tear_no_pair() -> None:
    found = halves(pairs(10, 4), seed=1)
    assert found.by_topic
    assert not set(found.discovery.topics) & set(found.confirmation.topics)
    assert len(found.discovery.topics) == len(found.confirmation.topics) == 5
    assert len(found.discovery.pairs) == len(found.confirmation.pairs) == 20
    assert len(found.discovery) + len(found.confirmation) == 80


@pytest.mark.parametrize("topics", [2, 9])
def test_topics_too_few_for_intervals_on_both_sides_are_split_by_pair_evenly(topics: int) -> None:
    found = halves(pairs(topics, 6), seed=1)
    assert not found.by_topic
    for half in (found.discovery, found.confirmation):
        assert {topic: sum(pair.topic == topic for pair in half.pairs) for topic in half.topics} == {
            f"topic {topic}": 3 for topic in range(topics)
        }


def test_prompts_without_pairs_and_topics_leave_both_labels_on_both_sides() -> None:
    labels = ["harmful"] * 6 + ["benign"] * 4
    found = halves(PromptSet("plain", tuple(Prompt(f"p{i}", f"{i}", label) for i, label in enumerate(labels))), seed=0)
    for half in (found.discovery, found.confirmation):
        assert (len(half.labelled("harmful")), len(half.labelled("benign"))) == (3, 2)


@pytest.mark.parametrize("paired", [True, False])
def test_harm_of_one_topic_is_on_both_sides_though_the_benign_prompts_have_many(paired: bool) -> None:
    prompts = [
        Prompt(f"{label}{i}", f"{label} {i}", label, topic, f"{i}" if paired else None)
        for i in range(24)
        for label, topic in (("harmful", "banking"), ("benign", f"topic {i % 12}"))
    ]
    found = halves(PromptSet("tied", tuple(prompts)), seed=1)
    assert not found.by_topic
    for half in (found.discovery, found.confirmation):
        assert (len(half.labelled("harmful")), len(half.labelled("benign"))) == (12, 12)


def test_another_seed_gives_other_halves() -> None:
    assert halves(pairs(10, 5), seed=1).discovery.topics != halves(pairs(10, 5), seed=2).discovery.topics


def test_a_subset_is_even_over_topics_and_keeps_pairs() -> None:
    found = subset(pairs(8, 10), 16, seed=0)
    assert len(found.labelled("harmful")) == len(found.labelled("benign")) == len(found.pairs) == 16
    assert {sum(p.topic == topic for p in found) for topic in found.topics} == {4}


def test_a_small_set_is_used_whole() -> None:
    small = pairs(3, 2)
    assert subset(small, 60, seed=0) is small


def test_prompts_without_labels_stay_but_count_for_no_side() -> None:
    mixed = PromptSet("mixed", (*pairs(4, 10).prompts, *(Prompt(f"u{i}", f"plain {i}") for i in range(5))))
    found = subset(mixed, 8, seed=0)
    assert len(found.labelled("harmful")) == 8
    assert sum(p.label is None for p in found) == 5


def with_jailbreaks(prompts: PromptSet, each: int) -> PromptSet:
    """Each harmful request wrapped `each` times, under its pair's id."""
    wrapped = [
        Prompt(f"j{i}-{p.id}", f"wrapped {p.text}", "harmful", p.topic, p.pair_id, "jailbreak")
        for p in prompts.labelled("harmful")
        for i in range(each)
    ]
    return PromptSet("wrapped", (*wrapped, *prompts.prompts))


def test_jailbreaks_change_nothing_of_what_is_drawn_from_the_regular_prompts() -> None:
    plain = pairs(8, 10)
    drawn, alone = subset(with_jailbreaks(plain, 3), 16, seed=0), subset(plain, 16, seed=0)
    assert [p for p in drawn if p.group == "regular"] == list(alone.prompts)
    assert len(drawn.jailbreaks) == 16
    assert len({p.topic for p in drawn.jailbreaks}) == 8


def test_a_jailbreak_is_in_the_half_of_the_request_that_it_wraps() -> None:
    for topics in (2, 8):
        found = halves(with_jailbreaks(pairs(topics, 4), 2), seed=1)
        for half in (found.discovery, found.confirmation):
            assert {p.pair_id for p in half.jailbreaks} == {p.pair_id for p in half.labelled("harmful")}
            assert len(half.pairs) == topics * 2


def test_a_set_of_jailbreaks_alone_can_be_cut() -> None:
    only = PromptSet("only", with_jailbreaks(pairs(2, 4), 1).jailbreaks)
    assert len(subset(only, 3, seed=0)) == 3
