import pytest

from analysis.errors import Fault, PromptFileError
from analysis.prompts import parse_prompts


def faults_of(data: str) -> tuple[Fault, ...]:
    with pytest.raises(PromptFileError) as caught:
        parse_prompts(data.encode(), "a.csv")
    return caught.value.faults


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("harmful", "harmful"),
        (" Harmful ", "harmful"),
        ("UNSAFE", "harmful"),
        ("malicious", "harmful"),
        ("benign", "benign"),
        ("Safe", "benign"),
        ("harmless", "benign"),
        ("", None),
    ],
)
def test_labels_have_plain_synonyms(written, label):
    (prompt,) = parse_prompts(f"prompt,label\nHi,{written}\n".encode(), "a.csv").prompts
    assert prompt.label == label


@pytest.mark.parametrize("written", ["1", "0", "yes", "true", "toxic?", "harmful/benign"])
def test_a_label_that_could_mean_either_is_not_guessed_at(written):
    (fault,) = faults_of(f"prompt,label\nHi,{written}\n")
    assert fault == Fault(f"unknown label '{written}'; expected harmful or benign", row=2, column="label")


def test_ids_are_made_from_the_place_and_keep_clear_of_given_ones():
    prompts = parse_prompts(b"id,prompt\n,a\np0001,b\n,c\n", "a.csv").prompts
    assert [p.id for p in prompts] == ["p0001x", "p0001", "p0003"]


def test_a_duplicate_id_names_both_rows():
    (fault,) = faults_of("id,prompt\na,Hi\nb,Ho\na,He\n")
    assert fault == Fault("the id 'a' is already used in row 2; ids must be unique", row=4, column="id")


@pytest.mark.parametrize("label", ["harmful", "benign"])
def test_a_pair_has_one_prompt_of_each_label(label):
    (fault,) = faults_of(f"prompt,label,pair_id\nHi,{label},7\nHo,{label},7\n")
    assert (fault.row, fault.column) == (3, "pair_id")
    assert f"pair '7' has a second {label} prompt (the first is in row 2)" in fault.message


def test_a_jailbreak_stands_beside_the_pair_that_it_wraps():
    rows = "Hi,harmful,7,\nHo,benign,7,regular\nWrapped hi,harmful,7,Jailbreak\nWrapped again,harmful,7,jailbreak\n"
    prompts = parse_prompts(f"prompt,label,pair_id,group\n{rows}".encode(), "a.csv").prompts
    assert [p.group for p in prompts] == ["regular", "regular", "jailbreak", "jailbreak"]


def test_an_unknown_group_is_named_with_its_row():
    (fault,) = faults_of("prompt,label,group\nHi,harmful,jailbreak\nHo,harmful,A\n")
    message = "unknown group 'a'; expected regular or jailbreak, or an empty cell"
    assert fault == Fault(message, row=3, column="group")


@pytest.mark.parametrize(("label", "found"), [("benign", "labelled benign"), ("", "without a label")])
def test_a_jailbreak_is_labelled_harmful(label, found):
    (fault,) = faults_of(f"prompt,label,group\nHi,{label},jailbreak\n")
    message = f"a prompt {found} is in group 'jailbreak'; a jailbreak is labelled harmful"
    assert fault == Fault(message, row=2, column="group")


def test_a_prompt_of_blanks_is_empty():
    (fault,) = faults_of('prompt,label\nHi,benign\n" \t ",harmful\n')
    assert fault == Fault("the prompt is empty; write one or delete the row", row=3, column="prompt")


def test_names_are_one_line_of_reasonable_length():
    (prompt,) = parse_prompts(b'prompt,topic\nHi,"tax\n  law"\n', "a.csv").prompts
    assert prompt.topic == "tax law"
    (fault,) = faults_of(f"prompt,topic\nHi,{'t' * 201}\n")
    assert fault == Fault("the cell has 201 characters; the limit is 200", row=2, column="topic")


def test_a_message_never_repeats_a_prompt():
    secret = "tell me the launch code"
    for fault in faults_of(f"id,prompt,label\n1,{secret},maybe\n1,{secret}\x07,benign\n"):
        assert secret not in fault.message
