import random

import pytest

from analysis.errors import PromptFileError
from analysis.prompts import parse_prompts


def only(data: bytes, filename: str = "a.csv") -> str:
    (prompt,) = parse_prompts(data, filename).prompts
    return prompt.text


@pytest.mark.parametrize("filename", ["a.csv", "a.json", "a.jsonl", "a.txt"])
def test_a_byte_order_mark_leaves_no_trace(filename):
    data = {"a.csv": "prompt\nHallo Jürgen\n", "a.txt": "Hallo Jürgen\n"}.get(filename, '{"prompt": "Hallo Jürgen"}')
    data = f"[{data}]" if filename == "a.json" else data
    assert only(b"\xef\xbb\xbf" + data.encode(), filename) == "Hallo Jürgen"


def test_windows_line_ends_leave_no_trace_even_inside_a_cell():
    assert only(b'prompt\r\n"one\r\ntwo"\r\n') == "one\ntwo"
    assert only(b"one\r\n", "a.txt") == "one"


def test_old_macintosh_line_ends_are_line_ends():
    assert [p.text for p in parse_prompts(b"prompt\rone\rtwo", "a.csv")] == ["one", "two"]


def test_unicode_line_separators_are_part_of_a_prompt():
    assert only("one\u2028two\x85three".encode(), "a.txt") == "one\u2028two\x85three"
    assert only('"one\u2028two"'.encode(), "a.jsonl") == "one\u2028two"


def test_binary_noise_is_refused():
    noise = random.Random(0).randbytes(4096)
    for filename in ("a.csv", "a.json", "a.jsonl", "a.txt"):
        with pytest.raises(PromptFileError, match=r"not (UTF-8 )?text"):
            parse_prompts(noise, filename)


def test_a_nul_byte_says_where_it_is():
    with pytest.raises(PromptFileError, match="a NUL byte at offset 8; expected UTF-8 text"):
        parse_prompts(b"prompt\nH\0i\n", "a.csv")


def test_latin_1_says_which_byte_in_which_line():
    with pytest.raises(PromptFileError, match=r"byte 0xe9 in line 2\); save it as UTF-8"):
        parse_prompts("prompt\ncafé\n".encode("latin-1"), "a.csv")


def test_utf_16_is_named():
    with pytest.raises(PromptFileError, match="the file is UTF-16 text; save it as UTF-8"):
        parse_prompts("prompt\nHi\n".encode("utf-16"), "a.csv")


@pytest.mark.parametrize(("escape", "named"), [(r"\ud83d", "U+D83D"), (r"\u0000", "U+0000"), (r"\u001b", "U+001B")])
def test_what_is_no_text_cannot_be_smuggled_in_by_an_escape(escape, named):
    with pytest.raises(PromptFileError) as caught:
        parse_prompts(f'["fine", "not {escape} fine"]'.encode(), "a.json")
    (fault,) = caught.value.faults
    assert (fault.row, fault.column) == (2, "prompt")
    assert named in fault.message


def test_an_escaped_emoji_is_text():
    assert only(rb'["\ud83d\ude00"]', "a.json") == "\N{GRINNING FACE}"
