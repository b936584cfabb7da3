import json

import pytest

from analysis.errors import Fault, PromptFileError
from analysis.prompts import parse_prompts


def faults_of(data: bytes, filename: str) -> tuple[Fault, ...]:
    with pytest.raises(PromptFileError) as caught:
        parse_prompts(data, filename)
    return caught.value.faults


def test_a_list_of_texts_is_a_list_of_prompts():
    prompts = parse_prompts(b'["Hi", "Ho"]', "a.json").prompts
    assert [(p.id, p.text, p.label) for p in prompts] == [("p0001", "Hi", None), ("p0002", "Ho", None)]


def test_texts_and_objects_may_stand_side_by_side_and_null_is_blank():
    prompts = parse_prompts(b'"Hi"\n\n{"Prompt": "Ho", "label": null, "id": 7}\n', "a.jsonl").prompts
    assert [(p.id, p.text, p.label) for p in prompts] == [("p0001", "Hi", None), ("7", "Ho", None)]


def test_broken_lines_are_all_named():
    faults = faults_of(b'{"prompt": "Hi"}\n{"prompt": }\n42\n\n["Ho"]\n', "a.jsonl")
    assert [fault.row for fault in faults] == [2, 3, 5]
    assert faults[0].message == "not valid JSON: Expecting value (character 12)"
    assert faults[1].message == "found a number; expected a text or an object with 'prompt'"


def test_broken_json_says_in_which_line():
    (fault,) = faults_of(b'[\n"Hi",\n"Ho"\n"He"]', "a.json")
    assert fault.message == "not valid JSON: Expecting ',' delimiter (character 1) in line 4"


def test_json_lines_in_a_json_file_are_recognised():
    (fault,) = faults_of(b'{"prompt": "Hi"}\n{"prompt": "Ho"}\n', "a.json")
    assert "name the file .jsonl" in fault.message


@pytest.mark.parametrize(
    ("value", "kind"), [({"prompt": "Hi"}, "an object"), ("Hi", "a text"), (3.5, "a number"), (None, "null")]
)
def test_json_that_is_no_list_is_named(value, kind):
    (fault,) = faults_of(json.dumps(value).encode(), "a.json")
    assert fault.message.startswith(f"the file holds {kind}; expected a list")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("filename", ["a.json", "a.jsonl"])
def test_json_nested_without_end_is_refused(opening, filename):
    (fault,) = faults_of(opening * 200_000, filename)
    assert "nested too deeply" in fault.message


def test_a_number_of_ten_thousand_digits_is_refused():
    (fault,) = faults_of(b'[{"prompt": "Hi", "id": ' + b"9" * 10_000 + b"}]", "a.json")
    assert "a number too long to read" in fault.message


def test_values_of_the_wrong_kind_are_named_with_their_columns():
    faults = faults_of(b'[{"prompt": 5, "topic": ["a"], "pair_id": true, "id": {"a": 1}}]', "a.json")
    assert {(fault.column, fault.message) for fault in faults} == {
        ("prompt", "found a number; expected a text"),
        ("topic", "found a list; expected a text"),
        ("pair_id", "found true or false; expected a text"),
        ("id", "found an object; expected a text"),
    }


def test_a_key_given_twice_in_different_case_is_refused():
    (fault,) = faults_of(b'[{"prompt": "Hi", "Prompt": "Ho"}]', "a.json")
    assert fault == Fault("the key appears twice in this object; keep one", row=1, column="prompt")


def test_five_megabytes_in_one_value_are_refused_with_row_and_column():
    (fault,) = faults_of(json.dumps(["Hi", "x" * 5 * 2**20]).encode(), "a.json")
    assert fault == Fault("the cell has 5,242,880 characters; the limit is 20,000", row=2, column="prompt")
