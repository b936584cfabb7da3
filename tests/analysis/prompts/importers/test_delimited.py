import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import Fault, PromptFileError
from analysis.prompts import parse_prompts


def faults_of(data: bytes | str, filename: str = "a.csv", **limits: int) -> tuple[Fault, ...]:
    with pytest.raises(PromptFileError) as caught:
        parse_prompts(data if isinstance(data, bytes) else data.encode(), filename, **limits)
    return caught.value.faults


def texts_of(data: str, filename: str = "a.csv") -> list[str]:
    return [prompt.text for prompt in parse_prompts(data.encode(), filename)]


def test_a_short_row_names_the_column_that_is_missing():
    (fault,) = faults_of("id,prompt,label,topic\n1,Hi,benign,t\n2,Ho,harmful\n")
    assert fault == Fault("the row has 3 fields, the header has 4: 'topic' is missing", row=3, column="topic")


def test_a_row_that_lacks_several_columns_names_them_all():
    (fault,) = faults_of("prompt,label,topic\nHi\n")
    assert fault.message == "the row has 1 field, the header has 3: 'label', 'topic' are missing"


def test_wild_column_names_stay_on_one_line_of_the_message():
    (fault,) = faults_of('prompt,"a\nb\tc",' + ",".join(f"c{i}" for i in range(900)) + "\nHi\n")
    assert fault.column == "a b c"
    assert fault.message.startswith("the row has 1 field, the header has 902: 'a b c', 'c0', 'c1', ")
    assert fault.message.endswith("'c10' … are missing")


def test_a_long_row_tells_how_to_write_a_comma():
    (fault,) = faults_of("prompt,label\nHi, you,benign\n")
    assert (
        fault.message
        == "the row has 3 fields, the header has 2: put quotation marks around a cell that contains a comma"
    )
    assert fault.row == 2


def test_rows_are_counted_as_a_spreadsheet_counts_them():
    # Row 2 spans three lines, row 3 is blank.
    (fault,) = faults_of('prompt,label\n"a\nb\nc",benign\n\nHi,perhaps\n')
    assert fault.row == 4


def test_empty_cells_after_the_last_column_do_no_harm():
    assert texts_of("prompt,label,,\nHi,benign,,\nHo,harmful,,,,\nHe,benign\n") == ["Hi", "Ho", "He"]


def test_rows_of_empty_cells_are_skipped():
    assert texts_of("\n,,\nprompt,label,topic\n,,\nHi,benign,t\n , ,\n") == ["Hi"]


def test_the_delimiter_is_found_even_when_prompts_hold_the_others():
    assert texts_of("prompt;label\nHi, you, there;benign\n") == ["Hi, you, there"]
    assert texts_of("label\tprompt\nbenign\tHi; you, there\n") == ["Hi; you, there"]
    assert texts_of('prompt,label\n"Hi; you; there",benign\n') == ["Hi; you; there"]


def test_a_blank_before_a_quoted_cell_is_ignored():
    assert texts_of('label, prompt\nbenign, "Hi, you"\n') == ["Hi, you"]


def test_column_names_ignore_case_and_outer_blanks():
    (prompt,) = parse_prompts(b" Prompt ,LABEL,Pair_ID\nHi,Benign,7\n", "a.csv").prompts
    assert (prompt.text, prompt.label, prompt.pair_id) == ("Hi", "benign", "7")


def test_a_quotation_mark_that_is_never_closed_is_found_where_it_opens():
    (fault,) = faults_of('prompt,label\nHi,benign\n"Ho,harmful\nHe,benign\n')
    assert fault == Fault("a quotation mark opens a cell here and is never closed", row=3)


def test_text_after_a_closing_quotation_mark_is_not_guessed_at():
    (fault,) = faults_of('prompt,label\n"Say "hi" now",benign\n')
    assert fault.row == 2
    assert 'twice ("")' in fault.message


def test_five_megabytes_in_one_cell_are_refused_quickly_with_row_and_column():
    data = b'id,prompt,label\n1,Hi,benign\n2,"' + b"x" * 5 * 2**20 + b'",harmful\n'
    started = time.perf_counter()
    (fault,) = faults_of(data)
    assert time.perf_counter() - started < 2.0
    assert fault == Fault("the cell has more than 131,072 characters; the limit is 20,000", row=3, column="prompt")


def test_a_cell_above_the_callers_limit_says_how_long_it_is():
    (fault,) = faults_of("prompt,label\nHi,benign\n" + "x" * 1001 + ",benign\n", max_cell_chars=1000)
    assert fault == Fault("the cell has 1,001 characters; the limit is 1,000", row=3, column="prompt")


def test_the_field_size_limit_of_the_process_is_left_alone():
    before = csv.field_size_limit()
    faults_of(b"prompt\n" + b"x" * 10**6)
    assert csv.field_size_limit() == before


def test_a_smaller_field_size_limit_of_the_process_is_respected():
    before = csv.field_size_limit(100)
    try:
        (fault,) = faults_of("prompt\n" + "x" * 101 + "\n")
    finally:
        csv.field_size_limit(before)
    assert fault.message == "the cell has more than 100 characters; the limit is 100"


clean = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff"), min_size=1, max_size=40
)


@settings(deadline=None)
@given(texts=st.lists(clean.map(str.strip).filter(bool), min_size=1, max_size=8), delimiter=st.sampled_from(",;\t"))
def test_what_a_csv_writer_writes_is_read_back(texts, delimiter):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([["label", "prompt"], *(["benign", text] for text in texts)])
    assert texts_of(out.getvalue()) == texts
