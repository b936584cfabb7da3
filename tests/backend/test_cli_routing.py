"""`expertscope routing`: what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest

from backend import cli
from tests.tiny_models import save_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of one architecture, one of another, and six prompts of three topics."""
    root = tmp_path_factory.mktemp("routing")
    save_tiny_model("mixtral", root / "a")
    save_tiny_model("mixtral", root / "b", seed=3)
    save_tiny_model("qwen3_moe", root / "c")
    rows = [
        f"say {word} twice,topic {i % 3}\n" for i, word in enumerate(("one", "two", "three", "four", "five", "six"))
    ]
    (root / "prompts.csv").write_text("prompt,topic\n" + "".join(rows), encoding="utf-8")
    return root


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = cli.run([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return status, out, err


def test_saturation_as_json(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ("routing", "saturation", folder / "a", folder / "b", "--prompts", folder / "prompts.csv", "--json")
    status, out, _ = run(capfd, *command)
    found = json.loads(out)
    assert status == 0
    assert [row["layer"] for row in found["per_layer"]] == [0, 1, 2]
    estimates = [row["overlap"]["estimate"] for row in found["per_layer"]]
    assert all(0 < estimate < 1 for estimate in estimates)
    assert found["overall"]["estimate"] == pytest.approx(sum(estimates) / 3)
    assert found["overall"]["n"] == 3
    assert found["chance"] == 0.25
    assert found["prompts"]["n"] == 6


def test_saturation_of_a_checkpoint_with_itself_is_one_in_every_line(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(
        capfd, "routing", "saturation", folder / "a", folder / "a", "--prompts", folder / "prompts.csv"
    )
    lines = [line.split("\t") for line in out.splitlines()]
    assert status == 0
    assert lines[0] == ["layer", "overlap", "low", "high"]
    assert [line[:2] for line in lines[1:]] == [["0", "1"], ["1", "1"], ["2", "1"], ["all", "1"]]


def test_another_architecture_is_refused_in_one_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ("routing", "saturation", folder / "a", folder / "c", "--prompts", folder / "prompts.csv")
    status, out, err = run(capfd, *command)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: saturation compares two checkpoints of one model")


def test_determinism_as_json(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ("routing", "determinism", folder / "c", "--prompts", folder / "prompts.csv", "--batch", 3, "--json")
    status, out, _ = run(capfd, *command)
    found = json.loads(out)
    assert status == 0
    assert (found["dtype"], found["other_dtype"], found["batch_prompts"]) == ("float32", "bfloat16", 3)
    assert found["repeat"]["overall"]["estimate"] == 0
    assert [row["layer"] for row in found["batch_size"]["per_layer"]] == [0, 2]
    assert 0 < found["changed_dtype"]["overall"]["estimate"] < 1
    assert found["withheld"] == []


def test_determinism_in_lines(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one = folder / "one.txt"
    one.write_text("say one twice\n", encoding="utf-8")
    status, out, _ = run(capfd, "routing", "determinism", folder / "c", "--prompts", one)
    lines = [line.split("\t") for line in out.splitlines()]
    assert status == 0
    assert ["repeat", "all", "0", "", ""] in lines
    assert ["batch of 1", "withheld", "one prompt makes no batch: give at least two"] in lines


def test_a_batch_of_one_is_a_wrong_argument(capfd: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capfd, "routing", "determinism", "x", "--prompts", "y", "--batch", 1)
    assert status == 2
    assert "--batch" in err
