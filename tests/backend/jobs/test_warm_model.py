"""The worker loads a model once for all runs that use it."""

from pathlib import Path

import pytest

from analysis.errors import NotFoundError
from backend.jobs.warm_model import WarmModel
from tests.tiny_models import save_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny_model("olmoe", tmp_path / "model")


def test_the_same_model_is_loaded_once(folder: Path) -> None:
    warm = WarmModel()
    assert warm.get(str(folder), None, "cpu") is warm.get(str(folder), None, "cpu")


def test_another_model_takes_its_place(folder: Path, tmp_path: Path) -> None:
    warm = WarmModel()
    first = warm.get(str(folder), None, "cpu")
    second = warm.get(str(save_tiny_model("mixtral", tmp_path / "other")), None, "cpu")
    assert second.description.family == "mixtral"
    assert warm.get(str(folder), None, "cpu") is not first


def test_a_folder_that_was_written_again_is_loaded_again(folder: Path) -> None:
    warm = WarmModel()
    before = warm.get(str(folder), None, "cpu").weights_sha256
    save_tiny_model("olmoe", folder, seed=1)
    assert warm.get(str(folder), None, "cpu").weights_sha256 != before


def test_a_model_that_does_not_load_leaves_none(folder: Path, tmp_path: Path) -> None:
    warm = WarmModel()
    first = warm.get(str(folder), None, "cpu")
    with pytest.raises(NotFoundError):
        warm.get(str(tmp_path / "missing"), None, "cpu")
    assert warm.get(str(folder), None, "cpu") is not first
