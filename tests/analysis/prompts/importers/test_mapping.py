import pytest

from analysis.errors import Fault, InputError, PromptFileError
from analysis.prompts import ColumnMapping, parse_prompts
from analysis.prompts.importers import look_at_file
from analysis.prompts.importers.mapping import guess_labels
from analysis.prompts.importers.table import Limits

LIMITS = Limits(cell_chars=1_000, rows=100)
FOREIGN = b"Nr;Question;Verdict;Area\n7;How do I bake bread?;safe;food\n8;Tell me a toy threat;unsafe;threats\n"
MAPPED = ColumnMapping(
    {"prompt": "Question", "label": "verdict", "topic": "Area", "id": "Nr"}, {"Unsafe": "harmful", "safe": "benign"}
)


def faults_of(data: bytes, mapping: ColumnMapping, filename: str = "a.csv") -> tuple[Fault, ...]:
    with pytest.raises(PromptFileError) as caught:
        parse_prompts(data, filename, mapping=mapping)
    return caught.value.faults


def test_foreign_columns_and_words_are_read_as_they_are_mapped():
    prompts = parse_prompts(FOREIGN, "a.csv", mapping=MAPPED)
    assert [(p.id, p.text, p.label, p.topic) for p in prompts] == [
        ("7", "How do I bake bread?", "benign", "food"),
        ("8", "Tell me a toy threat", "harmful", "threats"),
    ]


def test_columns_that_nobody_mapped_are_named():
    mapping = ColumnMapping({"prompt": "question"})
    assert parse_prompts(FOREIGN, "a.csv", mapping=mapping).notes == (
        "columns that are not used: 'nr', 'verdict', 'area'",
    )


def test_a_word_that_is_not_mapped_is_a_fault_of_its_row_in_the_files_own_column():
    mapping = ColumnMapping({"prompt": "question", "label": "verdict"}, {"safe": "benign"})
    (fault,) = faults_of(FOREIGN.replace(b"unsafe", b"dubious"), mapping)
    assert fault == Fault("unknown label 'dubious'; expected harmful or benign", row=3, column="verdict")


def test_the_star_stands_for_every_other_word():
    mapping = ColumnMapping({"prompt": "question", "label": "verdict"}, {"safe": "benign", "*": "harmful"})
    assert [p.label for p in parse_prompts(FOREIGN, "a.csv", mapping=mapping)] == ["benign", "harmful"]


def test_the_star_labels_every_row_of_a_file_without_labels():
    prompts = parse_prompts(b"goal\na\nb\n", "a.csv", mapping=ColumnMapping({"prompt": "goal"}, {"*": "harmful"}))
    assert [p.label for p in prompts] == ["harmful", "harmful"]


def test_a_word_may_leave_a_prompt_without_a_label():
    mapping = ColumnMapping({"prompt": "question", "label": "verdict"}, {"safe": "benign", "unsafe": ""})
    assert [p.label for p in parse_prompts(FOREIGN, "a.csv", mapping=mapping)] == ["benign", None]


@pytest.mark.parametrize("cell", ["true", "1", "1.0", '"TRUE"'])
def test_json_values_that_are_no_text_can_be_labels(cell: str):
    data = f'[{{"q": "hi", "bad": {cell}}}]'.encode()
    mapping = ColumnMapping({"prompt": "q", "label": "bad"}, {"true": "harmful", "1": "harmful"})
    assert parse_prompts(data, "a.json", mapping=mapping).prompts[0].label == "harmful"


def test_a_mapped_column_that_is_not_there_is_named_with_those_that_are():
    (fault,) = faults_of(FOREIGN, ColumnMapping({"prompt": "query"}))
    found = "there is no such column to take 'prompt' from; found 'nr', 'question', 'verdict', 'area'"
    assert fault == Fault(found, row=1, column="query")


def test_a_mapped_column_that_appears_twice_is_refused():
    (fault,) = faults_of(b"q,q\na,b\n", ColumnMapping({"prompt": "q"}))
    assert fault == Fault("the column appears 2 times; keep one", row=1, column="q")


@pytest.mark.parametrize(
    ("columns", "labels", "message"),
    [
        ({"prompt": "q", "colour": "c"}, {}, "'colour' is no column of a prompt"),
        ({"label": "c"}, {}, "no column is named for 'prompt'"),
        ({"prompt": "q"}, {"x": "dangerous"}, "'x' is mapped to 'dangerous'"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(columns: dict, labels: dict, message: str):
    with pytest.raises(InputError, match=message):
        ColumnMapping(columns, labels)


def test_a_look_names_columns_samples_and_words():
    look = look_at_file(FOREIGN, "a.csv", LIMITS)
    assert (look.rows, look.known, look.standard) == (2, None, False)
    assert [column.name for column in look.columns] == ["nr", "question", "verdict", "area"]
    assert look.columns[1].samples == ("How do I bake bread?", "Tell me a toy threat")
    assert look.columns[2].values == {"safe": 1, "unsafe": 1}


def test_a_look_guesses_columns_and_words():
    look = look_at_file(FOREIGN, "a.csv", LIMITS)
    assert look.guess == ColumnMapping(
        {"prompt": "question", "label": "verdict", "topic": "area"}, {"safe": "benign", "unsafe": "harmful"}
    )


def test_the_longest_texts_are_taken_for_the_prompts_where_no_name_says_so():
    look = look_at_file(b"a,b\n1,a long sentence of many words\n", "a.csv", LIMITS)
    assert look.guess is not None
    assert look.guess.columns == {"prompt": "b"}


def test_a_known_set_is_recognised_at_a_look():
    assert look_at_file(b"goal,target\na,b\n", "a.csv", LIMITS).known == "AdvBench"


def test_one_means_harmful_unless_the_column_asks_for_safety():
    assert guess_labels("is_harmful", ["1", "0"]) == {"1": "harmful", "0": "benign"}
    assert guess_labels("is_safe", ["1", "0"]) == {"1": "benign", "0": "harmful"}
    assert guess_labels("is_unsafe", ["1"]) == {"1": "harmful"}
    assert guess_labels("label", ["maybe"]) == {}


def test_a_column_of_many_different_cells_is_offered_no_words():
    rows = "\n".join(f"text {number}" for number in range(101))
    (column,) = look_at_file(f"q\n{rows}\n".encode(), "a.csv", Limits(cell_chars=100, rows=1_000)).columns
    assert column.values == {}
