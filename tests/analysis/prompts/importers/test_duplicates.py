import pytest

from analysis.errors import Fault, InputError, PromptFileError
from analysis.prompts import Deduplication, parse_prompts
from analysis.prompts.importers import read_prompts
from analysis.prompts.importers.duplicates import normalised
from analysis.prompts.importers.table import Limits

LIMITS = Limits(cell_chars=1_000, rows=100)
ALIKE = b"prompt,label\nHello there,benign\nHello there,benign\nhello   THERE,benign\nOther,harmful\n"
CONFLICT = b"prompt,label\nHello,benign\nhello,harmful\nOther,harmful\n"


def texts(data: bytes, *wanted: str) -> list[str]:
    return [p.text for p in parse_prompts(data, "a.csv", duplicates=Deduplication(*wanted))]


def test_texts_are_compared_without_case_spaces_and_compatibility_forms():
    # U+FB01 is the ligature fi, U+00A0 a space that does not break, U+FF21 a full-width A
    assert normalised(" \ufb01nd\u00a0 \uff21\n") == "find a"


def test_groups_of_alike_prompts_name_their_rows():
    (group,) = read_prompts(ALIKE, "a.csv", LIMITS).duplicates
    assert (group.rows, group.exact, group.conflict) == ((2, 3, 4), False, False)


def test_later_exact_duplicates_are_left_out():
    assert texts(ALIKE, "exact") == ["Hello there", "hello   THERE", "Other"]


def test_later_normalised_duplicates_are_left_out():
    assert texts(ALIKE, "normalised") == ["Hello there", "Other"]


def test_duplicates_stay_where_they_are_wanted():
    assert len(texts(ALIKE, "keep")) == 4
    assert len(parse_prompts(ALIKE, "a.csv")) == 4


def test_what_was_left_out_is_noted():
    prompts = parse_prompts(ALIKE, "a.csv", duplicates=Deduplication("normalised"))
    assert prompts.notes == ("left out 2 prompts that stand in the file already",)


def test_the_same_prompt_under_two_labels_has_to_be_decided():
    with pytest.raises(PromptFileError) as caught:
        texts(CONFLICT, "normalised")
    (fault,) = caught.value.faults
    assert (fault.row, fault.column) == (3, "label")
    assert fault.message.startswith("the same prompt stands in row 2, harmful here and benign there")


@pytest.mark.parametrize(
    ("decision", "left"),
    [("keep", ["Hello", "hello", "Other"]), ("first", ["Hello", "Other"]), ("leave_out", ["Other"])],
)
def test_conflicts_are_dealt_with_as_decided(decision: str, left: list[str]):
    assert texts(CONFLICT, "normalised", decision) == left


def test_a_row_that_stands_there_twice_may_repeat_its_id_and_its_side_of_a_pair():
    data = b"id,prompt,label,pair_id\n1,Hi,benign,p\n1,Hi,benign,p\n2,Ho,harmful,p\n"
    with pytest.raises(PromptFileError, match="already used in row 2"):
        parse_prompts(data, "a.csv")
    prompts = parse_prompts(data, "a.csv", duplicates=Deduplication("exact"))
    assert ([p.id for p in prompts], len(prompts.pairs)) == (["1", "2"], 1)


def test_a_file_of_nothing_but_conflicts_is_refused():
    with pytest.raises(PromptFileError, match="every prompt was left out"):
        texts(b"prompt,label\nHi,benign\nHi,harmful\n", "exact", "leave_out")


def test_ids_are_made_after_duplicates_are_gone():
    prompts = parse_prompts(ALIKE, "a.csv", duplicates=Deduplication("normalised"))
    assert [p.id for p in prompts] == ["p0001", "p0002"]


@pytest.mark.parametrize("wanted", [("all",), ("keep", "guess")])
def test_a_wish_that_does_not_exist_is_refused(wanted: tuple[str, ...]):
    with pytest.raises(InputError, match="expected one of"):
        Deduplication(*wanted)


def test_a_fault_is_a_fault_with_or_without_duplicates():
    data = b"prompt,label\nHi,evil\nHi,evil\n"
    with pytest.raises(PromptFileError) as caught:
        texts(data, "exact")
    assert caught.value.faults[0] == Fault("unknown label 'evil'; expected harmful or benign", row=2, column="label")
