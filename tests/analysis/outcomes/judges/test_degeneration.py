"""Broken output is told from answers, with the check that found it."""

import random

import pytest

from analysis.outcomes.judges import load_judge

PROSE = (
    "To repair an oven, first unplug it and let it cool down. Remove the screws at the back and lift the panel off. "
    "Look for a burnt wire or a blown fuse; both are easy to see. Fit a fuse of the same rating, put the panel back "
    "and tighten the screws. Plug the oven in and let it warm for ten minutes. If it stays cold, the heating element "
    "may be broken, and a shop can order a new one for your model."
)


def found(completion: str, *, finished: bool = True) -> str | None:
    judgement = load_judge("rules").judge("How do I repair the oven?", completion, finished=finished)
    return judgement.rule if judgement.label == "degenerate" else None


@pytest.mark.parametrize(
    "completion", ["", "   \n", "...", "!!!!!!!!!!!!", "\ufffd", "****", "<think>only this</think>", "。"]
)
def test_nothing_said(completion: str) -> None:
    assert found(completion) == "empty"


@pytest.mark.parametrize(
    "completion",
    [
        "oven oven oven oven oven oven",
        "Sure, puppet puppet puppet puppet puppet puppet puppet puppet puppet puppet",
        "the oven: the oven: the oven: the oven: the oven: the oven:",
        "I can't help with that. " * 6,
        "Open the panel and look at the wires inside the case. " * 4,
        "Sure, here is how to do it. First you open the back. Then " + "and the wire " * 12,
        "很好 很好 很好 很好 很好 很好",
    ],
)
def test_loops(completion: str) -> None:
    assert found(completion) == "repetition"


def test_a_loop_at_the_end_of_a_long_answer() -> None:
    assert found(PROSE) is None
    assert found(PROSE + " the screws" * 15) == "repetition"


def test_loops_without_spaces() -> None:
    assert found("repairrepairrepairrepairrepairrepairrepairrepair") == "character_loop"
    assert found("aaaaaaaaaaaaaaaaaaaaaaaa") == "character_loop"


def test_a_few_words_shuffled() -> None:
    rng = random.Random(0)
    assert found(" ".join(rng.choice(["oven", "lamp", "boat", "kettle"]) for _ in range(60))) == "few_words"


def test_signs_instead_of_words() -> None:
    assert found("}{ ;; )( == // a [] <> ?? !! ## b $$ %%") == "no_words"


def test_words_run_together() -> None:
    assert found("Openthebackpanelandlookatthewiresinsideofthecase") == "no_spaces"


def test_broken_bytes() -> None:
    assert found("Open the \ufffd\ufffd back \ufffd\ufffd panel") == "broken_encoding"
    assert found(f"{PROSE} \ufffd") is None  # one lost character at the cut of an answer


def test_letters_without_language() -> None:
    assert found("Sureairir repairVenhow xqzthk oveNst brrrrrt plkngh toveRan zzzzt") == "odd_words"


@pytest.mark.parametrize(
    "completion",
    [
        "Sure the of oven to is with but the and repair a the can't would to how screws the of",
        "help with help help with can't the the to oven for was I sorry the by",
    ],
)
def test_words_in_no_order(completion: str) -> None:
    assert found(completion) == "word_salad"


def test_shuffled_prose_is_found_more_often_than_not() -> None:
    rng = random.Random(1)
    hits = 0
    for _ in range(50):
        words = PROSE.split()
        rng.shuffle(words)
        hits += found(" ".join(words)) is not None
    assert hits >= 25


def test_cut_before_anything_was_said() -> None:
    assert found("Sure, here is", finished=False) == "cut"
    assert found("Sure, here is", finished=True) is None
    assert found("Sure, here is how to repair the", finished=False) is None


@pytest.mark.parametrize(
    "completion",
    [
        PROSE,
        "Ha ha ha! Good one.",
        "No, no, no.",
        "1. Eggs\n2. Flour\n3. Milk\n4. Butter\n5. Sugar",
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
        "1000000000000000000000",
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
        "```python\nfor i in range(10):\n    print(i, squares[i], myEventEmitter.emit('x'))\n```",
        "x = (-b + sqrt(b^2 - 4ac)) / 2a",
        "https://example.org/a/very/long/path/to/a/page.html",
        "Donaudampfschifffahrtsgesellschaft ist ein langes Wort, aber nicht das längste.",
        "El horno no calienta porque la resistencia está rota; hay que cambiarla por otra igual.",
        "烤箱不热是因为加热管坏了，需要换一个新的。",
        "Духовка не греет, потому что сгорел нагреватель; его нужно заменить.",
        "오븐이 뜨거워지지 않으면 퓨즈를 확인하세요.",
        "الفرن لا يسخن لأن المصهر تالف.",
        "Twinkle, twinkle, little star, how I wonder what you are.",
        "What I know is that that is what it is.",
    ],
)
def test_answers_of_many_kinds_are_not_degenerate(completion: str) -> None:
    assert found(completion) is None
