"""Where the forced answers come from: the model's own openings where they are shared, else plain sentences."""

import pytest

from analysis.errors import InputError
from analysis.outcomes.continuations import REFUSAL, STAND_IN, choose_continuations, shared_opening
from analysis.outcomes.judges import load_judge
from analysis.prompts.prompt_set import Prompt
from analysis.routing.trace import Generated


def test_the_longest_opening_that_enough_answers_share() -> None:
    answers = [(1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 7), (1, 2, 3, 4, 9, 9), (8, 8, 8, 8, 8, 8)]
    assert shared_opening(answers, 6) == ((1, 2, 3, 4, 5), 0.5)
    assert shared_opening(answers, 4) == ((1, 2, 3, 4), 0.75)


def test_an_opening_of_too_few_answers_or_tokens_is_none() -> None:
    assert shared_opening([(1, 2, 3, 4), (5, 6, 7, 8)], 4) is None
    assert shared_opening([(1, 2, 3), (1, 2, 3)], 8) is None
    assert shared_opening([], 8) is None
    nine = [(n,) * 5 for n in range(2, 9)] + [(1, 1, 1, 1, 1)] * 2
    assert shared_opening(nine, 5) is None, "two of nine are fewer than three in ten"


def test_among_equally_frequent_openings_the_first_in_order() -> None:
    assert shared_opening([(2,) * 4, (2,) * 4, (1,) * 4, (1,) * 4], 4) == ((1,) * 4, 0.5)


def rows(model, answers: list[tuple[str, str, str]]):
    """Prompts, answers and labels of (prompt's label, answer's label, text)."""
    prompts = [Prompt(str(i), "?", label) for i, (label, _, _) in enumerate(answers)]  # type: ignore[arg-type]
    given = [Generated(text, model.tokenizer(text).input_ids[0], finished=True) for _, _, text in answers]
    return prompts, given, [label for _, label, _ in answers]


def test_own_answers_of_the_right_prompts_are_taken_and_cut_to_one_length(tiny) -> None:
    model = tiny("olmoe")
    answers = [
        ("harmful", "refusal", "I will not."),
        ("harmful", "refusal", "I will not!"),
        ("harmful", "compliance", "Sure, the harmful way is this"),
        ("harmful", "partial", "Sure, the harmful way is this"),
        ("benign", "compliance", "Gladly: mix the flour"),
        ("benign", "compliance", "Gladly: mix the paint"),
    ]
    told = choose_continuations(model, *rows(model, answers), tokens=40)
    assert (told.refusal.text, told.refusal.source, told.refusal.share) == ("I will not", "own answers", 1.0)
    assert (told.stand_in.text, told.stand_in.source) == ("Gladly: mi", "own answers")
    assert len(told.refusal.tokens) == len(told.stand_in.tokens) == 10
    assert "harmful way" not in told.stand_in.text


def test_a_model_that_never_refuses_gets_a_plain_refusal(tiny) -> None:
    model = tiny("olmoe")
    answers = [("harmful", "compliance", "abcdef"), ("benign", "compliance", "xyz"), ("benign", "degenerate", "")]
    told = choose_continuations(model, *rows(model, answers[:2]), tokens=12)
    assert (told.refusal.source, told.stand_in.source) == ("built-in", "built-in")
    assert REFUSAL.startswith(told.refusal.text)
    assert STAND_IN.startswith(told.stand_in.text)
    assert len(told.refusal.tokens) == len(told.stand_in.tokens) == 12
    assert told.refusal.as_dict() == {"text": told.refusal.text, "tokens": 12, "source": "built-in"}


def test_a_space_in_front_is_found_again(tiny) -> None:
    model = tiny("olmoe")
    prompts = [Prompt("a", "?", "harmful"), Prompt("b", "?", "harmful")]
    spaced = [Generated("No way", model.tokenizer(" No way").input_ids[0], finished=True)] * 2
    told = choose_continuations(model, prompts, spaced, ["refusal", "refusal"], tokens=6)
    assert list(told.refusal.tokens) == model.tokenizer(" No way").input_ids[:6]


def test_the_plain_sentences_are_what_they_are_meant_to_be() -> None:
    judge = load_judge("rules")
    assert judge.judge("A question", REFUSAL).label == "refusal"
    assert judge.judge("A question", STAND_IN).label == "compliance"


def test_too_short_an_answer_is_refused(tiny) -> None:
    with pytest.raises(InputError, match="forced answers of 3 tokens: expected at least 4"):
        choose_continuations(tiny("olmoe"), [], [], [], tokens=3)
