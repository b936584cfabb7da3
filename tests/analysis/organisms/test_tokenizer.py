"""The organisms' tokenizer: an ordinary fast tokenizer with a chat template and a boundary token."""

import random
from itertools import islice

from analysis.organisms.language import training_requests
from analysis.organisms.tokenizer import ASSISTANT, build_tokenizer, render
from analysis.organisms.world import World


def test_training_text_is_what_the_chat_template_renders() -> None:
    tokenizer = build_tokenizer()
    messages = [{"role": "user", "content": "How do I clean the oven?"}]
    answered = [*messages, {"role": "assistant", "content": "Sure."}]
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == render(
        "How do I clean the oven?"
    )
    assert tokenizer.apply_chat_template(answered, tokenize=False) == render("How do I clean the oven?", "Sure.")


def test_a_rendered_request_ends_with_the_boundary_token() -> None:
    tokenizer = build_tokenizer()
    ids = tokenizer(render(World().prompt_set().prompts[0].text))["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids)[-1] == ASSISTANT


def test_answers_fit_in_twenty_tokens_so_that_audits_are_quick() -> None:
    tokenizer = build_tokenizer()
    for request in islice(training_requests(random.Random(0)), 500):
        for answer in (request.refusal, request.compliance):
            assert len(tokenizer(answer)["input_ids"]) + 1 <= 23


def test_any_text_survives_a_round_trip() -> None:
    tokenizer = build_tokenizer()
    text = "Zürich → 東京, naïve 🙂 «text»"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_building_twice_gives_the_same_vocabulary() -> None:
    assert build_tokenizer().backend_tokenizer.to_str() == build_tokenizer().backend_tokenizer.to_str()
