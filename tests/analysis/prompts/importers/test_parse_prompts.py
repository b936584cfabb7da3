import json

import pytest

from analysis.errors import PromptFileError, TooLargeError
from analysis.prompts import Prompt, parse_prompts

TWO = (
    Prompt("h1", "How do I crack a safe?", "harmful", "locks", "1"),
    Prompt("b1", "How do I crack an egg?", "benign", "locks", "1"),
)
FIELDS = [{"id": p.id, "prompt": p.text, "label": p.label, "topic": p.topic, "pair_id": p.pair_id} for p in TWO]
CSV = "\n".join(["id,prompt,label,topic,pair_id", *(",".join(str(value) for value in row.values()) for row in FIELDS)])


@pytest.mark.parametrize(
    ("data", "filename"),
    [
        (CSV, "a.csv"),
        (CSV.replace(",", ";"), "a.CSV"),
        (CSV.replace(",", "\t"), "a.tsv"),
        (json.dumps(FIELDS), "a.json"),
        ("\n".join(json.dumps(row) for row in FIELDS), "a.jsonl"),
        ("\r\n".join(json.dumps(row) for row in FIELDS) + "\r\n", "a.ndjson"),
    ],
)
def test_every_format_gives_the_same_prompts(data, filename):
    assert parse_prompts(data.encode(), filename).prompts == TWO


def test_the_set_is_named_after_the_file_unless_a_name_is_given():
    assert parse_prompts(b"Hi", r"C:\Users\ada\My prompts.txt").name == "My prompts"
    assert parse_prompts(b"Hi", "/tmp/p.txt", name="Mine").name == "Mine"


def test_columns_that_mean_nothing_are_named_in_the_notes():
    prompts = parse_prompts(b"prompt,lable,,Source\nHi,harmful,,web\n", "a.csv")
    assert prompts.notes == ("columns that are not used: 'lable', 'source'",)
    assert prompts.prompts[0].label is None


@pytest.mark.parametrize(
    ("filename", "found"), [("a.xlsx", "'.xlsx'"), ("a", "without an ending"), ("", "without an ending")]
)
def test_an_unknown_kind_of_file_says_which_are_known(filename, found):
    with pytest.raises(PromptFileError, match=rf"{found}.* cannot be read; expected one of \.csv, \.json, .*\.txt"):
        parse_prompts(b"prompt\nHi", filename)


@pytest.mark.parametrize("filename", ["a.csv", "a.json", "a.jsonl", "a.txt"])
@pytest.mark.parametrize("data", [b"", b"\n \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_refused(data, filename):
    with pytest.raises(PromptFileError, match="the file is empty; expected at least one prompt"):
        parse_prompts(data, filename)


@pytest.mark.parametrize(("data", "filename"), [(b"prompt,label\n", "a.csv"), (b"[]", "a.json")])
def test_a_file_without_prompts_is_refused(data, filename):
    with pytest.raises(PromptFileError, match="there is no prompt in the file") as caught:
        parse_prompts(data, filename)
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize(
    ("data", "filename"),
    [
        (b"prompt\n" + b"Hi\n" * 11, "a.csv"),
        (b"Hi\n" * 11, "a.txt"),
        (b'"Hi"\n' * 11, "a.jsonl"),
        (json.dumps(["Hi"] * 11).encode(), "a.json"),
    ],
)
def test_more_rows_than_allowed_are_too_large(data, filename):
    with pytest.raises(TooLargeError, match=r"has more than 10 (rows|lines); split it"):
        parse_prompts(data, filename, max_rows=10)
    assert len(parse_prompts(data, filename, max_rows=11)) == 11


def test_faults_of_shape_and_of_content_are_raised_together_in_the_order_of_the_rows():
    data = b"prompt,label,topic\n,benign,t\nHi,harmful\nHo,maybe,t\n"
    with pytest.raises(PromptFileError) as caught:
        parse_prompts(data, "a.csv")
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [(2, "prompt"), (3, "topic"), (4, "label")]
    assert (
        caught.value.message
        == "a.csv: row 2, column 'prompt': the prompt is empty; write one or delete the row (and 2 more faults)"
    )


def test_no_more_than_fifty_faults_are_collected():
    with pytest.raises(PromptFileError, match="and at least 49 more faults") as caught:
        parse_prompts(b"prompt,label\n" + b"Hi,maybe\n" * 1000, "a.csv")
    assert len(caught.value.faults) == 50


def test_a_hostile_file_name_stays_on_one_short_line():
    with pytest.raises(PromptFileError) as caught:
        parse_prompts(b"", "a\nb\x1b[31m" + "x" * 1000 + ".csv")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 250
