from importlib.resources import files

import pytest

from analysis.errors import NotFoundError
from analysis.prompts import builtin_names, load_prompts, parse_prompts

WEIGHTS = files("analysis").joinpath("organisms", "weights")
ORGANISMS = sorted(folder.name for folder in WEIGHTS.iterdir()) if WEIGHTS.is_dir() else []


def test_the_names_are_sorted():
    assert builtin_names() == ("organism", "topic-pairs")


def test_a_builtin_set_is_called_by_its_name():
    assert load_prompts("builtin:topic-pairs").name == "topic-pairs"


@pytest.mark.skipif(not ORGANISMS, reason="no model organism is shipped in this checkout")
@pytest.mark.parametrize("organism", ORGANISMS)
def test_the_set_of_an_organism_is_the_file_beside_its_weights(organism):
    prompts = load_prompts("builtin:organism", organism=organism)
    beside = WEIGHTS.joinpath(organism, "prompts.csv").read_bytes()
    assert prompts.name == f"organism:{organism}"
    assert prompts.sha256 == parse_prompts(beside, "prompts.csv").sha256


@pytest.mark.parametrize("organism", ["unicorn", "../weights/planted", ""])
def test_an_organism_without_a_prompt_set_is_not_found(organism):
    with pytest.raises(NotFoundError, match=r"there is no prompt set for the organism .*; there are: "):
        load_prompts("builtin:organism", organism=organism)
