"""`expertscope detect`: its files, its output, and that its choices are the registry's."""

import json
from pathlib import Path

import pytest

from analysis.detectors import DETECTORS
from analysis.detectors.trained import load_detector
from analysis.organisms import organism_path
from backend import cli
from backend.commands.detect import DetectorName


@pytest.fixture
def few_prompts(tmp_path: Path) -> Path:
    """Twelve pairs of the organism's own prompts."""
    lines = (organism_path("planted") / "prompts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    path = tmp_path / "few.csv"
    path.write_text("".join(lines[:25]), encoding="utf-8")
    return path


def test_every_detector_can_be_chosen() -> None:
    assert [str(name) for name in DetectorName] == list(DETECTORS)


def test_it_writes_the_document_and_a_detector_that_loads(
    tmp_path: Path, few_prompts: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    arguments = ["--model", "organism:planted", "--prompts", few_prompts, "--detector", "router_logits", "--out", out]
    status = cli.run(["detect", *map(str, arguments), "--device", "cpu", "--json"])
    printed = capfd.readouterr().out
    assert status == 0
    document = json.loads((out / "detector.json").read_text(encoding="utf-8"))
    assert json.loads(printed) == document
    assert document["detector"]["name"] == "router_logits"
    assert {path.name for path in out.iterdir()} == {"detector.json", "detector.safetensors"}
    detector = load_detector(out)
    assert (detector.name, detector.weights_sha256) == ("router_logits", document["model"]["weights_sha256"])


def test_prompts_without_labels_fail_with_one_line_and_leave_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prompts, out = tmp_path / "p.txt", tmp_path / "found"
    prompts.write_text("one\ntwo\n", encoding="utf-8")
    status = cli.run(["detect", "--model", "organism:planted", "--prompts", str(prompts), "--out", str(out)])
    err = capfd.readouterr().err
    assert status == 1
    assert "needs at least 10 harmful and 10 benign prompts, found 0 and 0" in err
    assert len(err.strip().splitlines()) == 1
    assert not out.exists()
