"""Finding organisms by name."""

import subprocess
import sys
from pathlib import Path

import pytest

import analysis.organisms
from analysis.errors import ConflictError, InputError, NotFoundError
from analysis.organisms import organism_names, organism_path, organism_spec, train_organism


def test_the_public_names_are_sorted_and_exist() -> None:
    assert analysis.organisms.__all__ == sorted(analysis.organisms.__all__)
    assert all(hasattr(analysis.organisms, name) for name in analysis.organisms.__all__)


def test_seven_organisms_of_four_families_are_shipped() -> None:
    names = ("attention", "confounded", "distributed", "dormant", "planted", "redundant", "routed")
    assert organism_names() == names
    assert len({organism_spec(name).family for name in names}) == 4
    assert all((organism_path(name) / "truth.json").is_file() for name in organism_names())


def test_an_unknown_name_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(NotFoundError, match=f"no organism 'plantd': expected one of {', '.join(organism_names())}"):
        organism_path("plantd")


def test_training_does_not_write_over_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="exists already"):
        train_organism("planted", tmp_path)


def test_an_unknown_family_or_budget_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be built as 'gpt2': expected one of deepseek_v3, mixtral"):
        train_organism("planted", tmp_path / "out", family="gpt2")
    with pytest.raises(InputError, match="no budget 'endless': expected one of full, brief"):
        train_organism("planted", tmp_path / "out", budget="endless")
    assert not list(tmp_path.iterdir())


def test_listing_names_does_not_import_torch() -> None:
    code = (
        "import sys; from analysis.organisms import organism_names; organism_names(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
