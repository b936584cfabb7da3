"""Which prompts keep their tokens where there is not room for all."""

from collections import Counter

from analysis.prompts.prompt_set import Prompt
from analysis.routing.token_sample import sampled

TOPICS = ("a", "b", "c")
PAIRED = tuple(
    Prompt(f"{label[0]}{i}", "…", label, TOPICS[i % 3], f"p{i}") for i in range(12) for label in ("harmful", "benign")
)
ALONE = tuple(Prompt(f"x{i}", "…", "harmful", TOPICS[i % 3]) for i in range(6))


def test_all_are_kept_while_they_fit() -> None:
    assert sampled(PAIRED, [10] * 24, 240, seed=0) == list(range(24))


def test_otherwise_whole_pairs_of_every_topic_are() -> None:
    rows = sampled(PAIRED, [10] * 24, 125, seed=0)
    assert len(rows) == 12
    assert set(Counter(PAIRED[row].pair_id for row in rows).values()) == {2}
    assert Counter(PAIRED[row].topic for row in rows) == {"a": 4, "b": 4, "c": 4}


def test_a_prompt_without_a_partner_comes_after_the_pairs() -> None:
    prompts = (*ALONE, *PAIRED)
    rows = sampled(prompts, [10] * 30, 270, seed=0)
    assert len(rows) == 27
    assert {prompts[row].id for row in rows} >= {one.id for one in PAIRED}


def test_the_seed_decides_and_nothing_else() -> None:
    drawn = [sampled(PAIRED, [10] * 24, 60, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len({tuple(one) for one in drawn}) > 1


def test_what_does_not_fit_is_passed_over() -> None:
    assert sampled(PAIRED[:4], [100, 100, 10, 10], 30, seed=0) == [2, 3]
