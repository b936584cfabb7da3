import pytest

from analysis.errors import PromptFileError
from analysis.prompts import parse_prompts


def message_of(data: bytes, filename: str = "a.csv") -> str:
    with pytest.raises(PromptFileError) as caught:
        parse_prompts(data, filename)
    return caught.value.message


def test_a_header_without_prompt_says_what_was_found_and_what_was_expected():
    message = message_of(b"Question,Category\nHi,x\n")
    assert message.startswith("a.csv: row 1, column 'prompt': there is no such column; found 'question', 'category'; ")
    assert (
        "expected 'prompt' and, if you have them, label, topic, pair_id, group, id, "
        "or the header of a known set (XSTest, " in message
    )


def test_objects_without_prompt_are_told_the_same():
    assert "found 'text'; expected 'prompt'" in message_of(b'[{"text": "Hi"}]', "a.json")


def test_a_column_that_appears_twice_is_refused():
    assert (
        message_of(b"prompt,label,Prompt\nHi,benign,Ho\n")
        == "a.csv: row 1, column 'prompt': the column appears 2 times; keep one"
    )


def test_a_wild_header_is_shortened_to_one_line():
    message = message_of(b'"a\nb\x07c' + b"x" * 500 + b'",' + b",".join(b"c%d" % i for i in range(5000)) + b"\n1\n")
    assert message.isprintable()
    assert len(message) < 600


def test_a_bad_header_is_the_only_fault():
    with pytest.raises(PromptFileError) as caught:
        parse_prompts(b"question,label\nHi\n,perhaps\n", "a.csv")
    assert len(caught.value.faults) == 1
