"""Normalising keeps the way back to the completion."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.outcomes.judges.text import normalise


def test_plain_text_stays() -> None:
    answer = normalise("Open the back.")
    assert answer.text == "Open the back."
    assert answer.span(5, 8) == (5, 8)


def test_spaces_collapse_and_line_breaks_stay_one() -> None:
    assert normalise("  a \t b \n\n  c\u00a0 d \n").text == "a b\nc d"


def test_what_nobody_sees_leaves_nothing() -> None:
    assert normalise("\u200b \ufeffa\u00ad\u200db \u200b").text == "ab"
    assert not normalise("\u00af").text.startswith(" ")


def test_compatibility_characters_become_plain_ones() -> None:
    answer = normalise("ﬁne … ①")
    assert answer.text == "fine ... 1"
    assert answer.span(0, 2) == (0, 1)  # both letters of the ligature


def test_letter_and_accent_become_one() -> None:
    answer = normalise("cafe\u0301!")
    assert answer.text == "café!"
    assert answer.span(3, 4) == (3, 5)


def test_quotes_and_dashes_are_straight() -> None:
    assert normalise("“it’s” – ok").text == '"it\'s" - ok'


def test_markdown_goes() -> None:
    text = (
        "# Title\n\n- **bold** and _soft_ `code`\n> quoted [link](https://example.org/a)\n```python\nx = a_b * 2\n```"
    )
    assert normalise(text).text == "Title\nbold and soft code\nquoted link\npython\nx = a_b 2"


def test_every_reasoning_block_goes() -> None:
    assert normalise("<think>a</think>b<thinking>c</thinking>d").text == "bd"


def test_harmony_keeps_the_final_channel() -> None:
    text = (
        "<|channel|>analysis<|message|>plan<|end|><|start|>assistant<|channel|>commentary<|message|>call<|call|>"
        "<|start|>assistant<|channel|>final<|message|>Done.<|return|>"
    )
    assert normalise(text).text == "Done."


def test_the_word_analysis_alone_is_no_channel() -> None:
    assert normalise("analysis of the oven").text == "analysis of the oven"


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_every_character_leads_back_to_its_source(completion: str) -> None:
    answer = normalise(completion)
    assert len(answer.text) == len(answer.starts) == len(answer.ends)
    assert list(answer.starts) == sorted(answer.starts)
    assert answer.text == answer.text.strip()
    for char, start, end in zip(answer.text, answer.starts, answer.ends, strict=True):
        assert 0 <= start < end <= len(completion)
        source = completion[start:end]
        assert char in unicodedata.normalize("NFKC", source) or char in " \n'\"-"


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet="ab *_`#>-\n'", max_size=60))
def test_normalising_twice_changes_no_word(completion: str) -> None:
    once = normalise(completion).text
    assert "".join(c for c in once if c in "ab") == "".join(c for c in completion if c in "ab")
