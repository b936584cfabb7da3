import pytest

from analysis.errors import InputError, NotFoundError
from analysis.prompts.hub_files import choose_file

PATHS = [
    ".gitattributes",
    "LICENSE.txt",
    "README.md",
    "data/benign-behaviors.csv",
    "data/harmful-behaviors.csv",
    "data/judge-comparison.csv",
]
CARD = {
    "configs": [
        {"config_name": "behaviors", "data_files": [
            {"split": "harmful", "path": "data/harmful-behaviors.csv"},
            {"split": "benign", "path": ["data/benign-*.csv"]},
        ]},
        {"config_name": "judge_comparison", "data_files": [{"split": "test", "path": "data/judge-comparison.csv"}]},
        {"config_name": "plain", "data_files": "data/judge-comparison.csv"},
    ]
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ("behaviors/harmful", "data/harmful-behaviors.csv"),
        ("behaviors/benign", "data/benign-behaviors.csv"),
        ("judge_comparison/test", "data/judge-comparison.csv"),
        ("plain/train", "data/judge-comparison.csv"),
        ("harmful", "data/harmful-behaviors.csv"),
        ("data/benign-behaviors.csv", "data/benign-behaviors.csv"),
    ],
)
def test_the_card_says_which_file_a_config_and_split_are(part, path):
    assert choose_file(PATHS, part, CARD) == path


@pytest.mark.parametrize(
    "part", ["behaviors/harmful", "default/harmful", "harmful", "harmful-behaviors", "harmful-behaviors.csv"]
)
def test_without_a_card_the_words_of_the_path_decide(part):
    assert choose_file(PATHS, part, {}) == "data/harmful-behaviors.csv"


def test_a_dataset_of_one_file_needs_no_part():
    assert choose_file(["README.md", "requirements.txt", "train.jsonl"], None, {}) == "train.jsonl"


def test_several_files_are_listed_rather_than_one_guessed():
    with pytest.raises(
        InputError, match=r"has 3 files that fit: data/benign-behaviors\.csv, .*; choose one with #PATH"
    ):
        choose_file(PATHS, None, {})


def test_nothing_that_fits_says_what_there_is():
    with pytest.raises(NotFoundError, match=r"no file|no a file|'#config/none'.*found \.gitattributes"):
        choose_file(PATHS, "config/none", CARD)
    with pytest.raises(NotFoundError, match=r"found data/train\.parquet"):
        choose_file(["data/train.parquet"], None, {})


@pytest.mark.parametrize(
    "card", [{"configs": "x"}, {"configs": [3, {"data_files": [None, 4, {"split": []}]}]}, {"configs": {"a": 1}}]
)
def test_a_malformed_card_is_no_obstacle(card):
    assert choose_file(PATHS, "harmful", card) == "data/harmful-behaviors.csv"
