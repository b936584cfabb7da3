"""The notebooks run, and what they show is what they give."""

import json
from pathlib import Path

import nbformat
import pytest

from tests.notebooks import FOLDER, charts, differences, execute

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_shows(path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    assert differences(stored, execute(path)) == [], "run `make notebook` and look at what changed"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_valid_and_has_a_picture_of_every_chart(path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    assert path.stat().st_size < 300_000
    found = list(charts(stored))
    assert found
    assert all("image/png" in data for data in found)
    assert all("text/html" not in data for data in found), "a page of script would be loaded from another host"


def test_an_output_that_was_not_executed_again_is_found_out() -> None:
    path = NOTEBOOKS[0]
    stored, changed = nbformat.read(path, as_version=4), nbformat.read(path, as_version=4)
    assert differences(stored, changed) == []
    text = json.dumps(changed).replace("240 prompts", "250 prompts")
    (told,) = differences(stored, nbformat.reads(text, as_version=4))
    assert "250 prompts" in told
    next(cell for cell in stored.cells if cell.cell_type == "code").execution_count = None
    assert any("not executed in order" in one for one in differences(stored, stored))
