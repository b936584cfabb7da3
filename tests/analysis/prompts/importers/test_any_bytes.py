"""Whatever a person uploads, it either becomes a whole prompt set or an error that says why."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import ExpertScopeError, PromptFileError
from analysis.prompts import PromptSet, parse_prompts
from analysis.prompts.importers import FORMATS

endings = st.sampled_from([*FORMATS, ".xlsx", ""])
csv_like = st.text(alphabet=" ,;\t\"\n\r'promptlabel_id\ufeff", max_size=120).map(lambda text: "prompt,label,id" + text)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["prompt", "Label", "id", "topic", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def parsed(data: bytes, filename: str) -> PromptSet | ExpertScopeError:
    try:
        return parse_prompts(data, filename, max_rows=50, max_cell_chars=100)
    except ExpertScopeError as error:
        return error


def assert_whole_or_refused(data: bytes, filename: str) -> None:
    outcome = parsed(data, filename)
    if isinstance(outcome, ExpertScopeError):
        assert outcome.message.isprintable()
        assert len(outcome.message) < 1000
        assert len(outcome.faults) <= 50
        assert outcome.faults or not isinstance(outcome, PromptFileError)
        return
    assert 1 <= len(outcome) <= 50
    assert len(outcome.sha256) == 64
    assert len({prompt.id for prompt in outcome}) == len(outcome)
    assert all(1 <= len(prompt.text) <= 100 and prompt.text == prompt.text.strip() for prompt in outcome)


@settings(deadline=None)  # a busy machine is no fault
@given(data=st.binary(max_size=400), ending=endings)
def test_any_bytes(data, ending):
    assert_whole_or_refused(data, f"file{ending}")


@settings(deadline=None)
@given(text=st.text(max_size=300), ending=endings, filename=st.text(max_size=20))
def test_any_text_under_any_name(text, ending, filename):
    assert_whole_or_refused(text.encode("utf-8", "surrogatepass"), filename + ending)


@settings(deadline=None)
@given(text=csv_like, ending=st.sampled_from([".csv", ".tsv"]))
def test_anything_that_looks_like_csv(text, ending):
    assert_whole_or_refused(text.encode(), f"file{ending}")


@settings(deadline=None)
@given(values=st.lists(json_values, max_size=6))
def test_any_json(values):
    assert_whole_or_refused(json.dumps(values).encode(), "file.json")
    assert_whole_or_refused("\n".join(json.dumps(value) for value in values).encode(), "file.jsonl")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("unit", [b"a", b",", b'"', b"\n", b"\r", b"\xef\xbb\xbf", b"[", b'{"prompt":', b"\t\t\n"])
def test_megabytes_of_the_same_byte_are_answered(unit, ending):
    assert_whole_or_refused(unit * (2**20 // len(unit)), f"file{ending}")
