"""Input that cannot be used: status 1, one line that says why, and nothing left behind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backend import cli
from backend.commands.out_folder import filling
from tests.tiny_models import save_tiny_model

GOOD = b"prompt,label\nHow do I bake bread?,benign\n"

FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty"),
    "header only": (lambda: b"prompt,label\n", "no prompt"),
    "binary noise": (lambda: np.random.default_rng(0).bytes(20_000), "not text"),
    "5 MB in one cell": (lambda: b'prompt,label\n"' + b"word " * 1_000_000 + b'",benign\n', "row 2, column 'prompt'"),
    "a broken row": (lambda: GOOD + b"How?,naughty\n", "row 3, column 'label'"),
}


def refusal(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line of a command that fails with status 1."""
    status = cli.run([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert "unexpected" not in err
    return err


def audit(capfd: pytest.CaptureFixture[str], model: str | Path, prompts: str | Path, out: Path) -> str:
    return refusal(capfd, "audit", "--model", model, "--prompts", prompts, "--out", out, "--preset", "quick")


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.csv"
    path.write_bytes(GOOD)
    return path


@pytest.mark.parametrize(("content", "reason"), FILES.values(), ids=FILES)
def test_prompt_files_that_cannot_be_used(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, model_folder: Path, content: Callable[[], bytes], reason: str
) -> None:
    path = tmp_path / "prompts.csv"
    path.write_bytes(content())
    assert reason in audit(capfd, model_folder, path, tmp_path / "out")
    assert reason in refusal(capfd, "prompts", "import", path, "--data", tmp_path / "data")
    assert [entry.name for entry in tmp_path.iterdir()] == ["prompts.csv"]


def test_a_prompt_file_that_is_not_there(capfd: pytest.CaptureFixture[str], tmp_path: Path, model_folder: Path) -> None:
    missing = tmp_path / "none.csv"
    assert "none.csv" in audit(capfd, model_folder, missing, tmp_path / "out")
    assert "none.csv" in refusal(capfd, "prompts", "import", missing, "--data", tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_dense_checkpoint(capfd: pytest.CaptureFixture[str], tmp_path: Path, prompts: Path) -> None:
    folder = save_tiny_model("llama", tmp_path / "dense")
    capfd.readouterr()
    line = audit(capfd, folder, prompts, tmp_path / "out")
    assert "dense" in line
    assert "Mixtral" in line
    assert not (tmp_path / "out").exists()


def test_a_model_folder_that_is_not_there(capfd: pytest.CaptureFixture[str], tmp_path: Path, prompts: Path) -> None:
    assert "does not exist" in audit(capfd, tmp_path / "nowhere", prompts, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["prompts.csv"]


def test_weights_that_are_cut_off(capfd: pytest.CaptureFixture[str], tmp_path: Path, prompts: Path) -> None:
    folder = save_tiny_model("olmoe", tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    capfd.readouterr()
    assert "cannot be loaded" in audit(capfd, folder, prompts, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_hub_id_without_the_network(capfd: pytest.CaptureFixture[str], tmp_path: Path, prompts: Path) -> None:
    """The tests run with HF_HUB_OFFLINE=1, as an installation without network would."""
    assert "nobody/nothing" in audit(capfd, "nobody/nothing", prompts, tmp_path / "out")


def test_an_out_that_is_a_file_is_refused_before_any_work(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, prompts: Path
) -> None:
    assert "is a file" in audit(capfd, tmp_path / "nowhere", prompts, prompts)
    assert prompts.read_bytes() == GOOD


def test_a_failure_while_writing_leaves_the_old_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text("old")

    def write() -> None:
        with filling(out) as draft:
            (draft / "report.json").write_text("new")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert (out / "report.json").read_text() == "old"


def test_a_result_replaces_the_old_one_and_leaves_other_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text("old")
    (out / "notes.txt").write_text("mine")
    with filling(out) as draft:
        (draft / "report.json").write_text("new")
    assert {entry.name: entry.read_text() for entry in out.iterdir()} == {"report.json": "new", "notes.txt": "mine"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
