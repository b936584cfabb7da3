"""What the command line prints, where, and with which exit status."""

import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from analysis.organisms import organism_names, organism_path
from backend import cli
from tests.backend.factories import make_csv


def run(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one command in this process."""
    status = cli.run([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return status, out, err


@pytest.fixture
def few_prompts(tmp_path: Path) -> Path:
    """Twelve pairs of the organism's own prompts."""
    lines = (organism_path("planted") / "prompts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    path = tmp_path / "few.csv"
    path.write_text("".join(lines[:25]), encoding="utf-8")
    return path


def test_help_answers_without_loading_torch() -> None:
    program = "import sys; from backend import cli; cli.run(['audit', '--help']); sys.exit('torch' in sys.modules)"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--preset" in done.stdout
    assert time.perf_counter() - start < 5


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, "--version") == (0, version("expertscope") + "\n", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["audit", "--model", "x", "--prompts", "y"], "Missing option '--out'"),
        (["audit", "--model", "x", "--prompts", "y", "--out", "z", "--preset", "huge"], "'huge' is not one of"),
        (["audit", "--model", "x", "--prompts", "y", "--out", "z", "--device", "tpu"], "'tpu' is no device"),
        (["audit", "--model", "x", "--prompts", "y", "--out", "z", "--seed", "-1"], "--seed"),
        (["trace", "--bogus"], "--bogus"),
        (["explode"], "explode"),
    ],
)
def test_wrong_arguments_give_status_2_and_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    status, out, err = run(capfd, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert complaint in err


def test_no_command_prints_the_help_and_status_2(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capfd)
    assert (status, out) == (2, "")
    assert err.startswith("Usage: expertscope")


def test_a_setting_that_cannot_be_used_is_named(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPERTSCOPE_PORT", "many")
    status, _, err = run(capfd, "models", "list")
    assert status == 1
    assert err.startswith("error: setting EXPERTSCOPE_PORT cannot be used: ")


def test_organism_list_names_them_first(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capfd, "organism", "list")
    assert status == 0
    assert tuple(line.split("\t")[0] for line in out.splitlines()) == organism_names()


def test_models_inspect_reads_the_checkpoint(capfd: pytest.CaptureFixture[str], model_folder: Path) -> None:
    status, out, err = run(capfd, "models", "inspect", model_folder, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    # tests/tiny_models.py: three layers, the second dense, eight experts, three selected
    assert (found["moe_layers"], found["dense_layers"], found["experts"], found["top_k"]) == ([0, 2], [1], 8, 3)
    _, table, _ = run(capfd, "models", "inspect", model_folder)
    assert "moe_layers\t0, 2\n" in table


def test_lists_make_no_data_folder(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run(capfd, "models", "list", "--data", data)[0] == 0
    status, out, _ = run(capfd, "prompts", "list", "--data", data, "--json")
    assert status == 0
    assert {row["ref"] for row in json.loads(out)} == {"builtin:organism", "builtin:topic-pairs"}
    assert not data.exists()


def test_an_imported_file_is_listed(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, data = tmp_path / "mine.csv", tmp_path / "data"
    file.write_bytes(make_csv())
    status, out, err = run(capfd, "prompts", "import", file, "--name", "My set", "--data", data, "--json")
    assert (status, err) == (0, "")
    imported = json.loads(out)
    _, listed, _ = run(capfd, "prompts", "list", "--data", data, "--json")
    row = next(row for row in json.loads(listed) if row["source"] == "upload")
    assert (row["ref"], row["name"], row["prompts"]) == (imported["id"], "My set", imported["prompts"])


def test_a_foreign_file_is_imported_by_what_its_columns_mean(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, data = tmp_path / "foreign.csv", tmp_path / "data"
    file.write_text("question,verdict\nHello,unsafe\nhello,unsafe\nOther,fine\n", encoding="utf-8")
    mapped = ("--column", "prompt=question", "--column", "label=verdict", "--label", "unsafe=harmful")
    command = ("prompts", "import", file, *mapped, "--duplicates", "normalised", "--data", data)
    status, _, err = run(capfd, *command)
    assert status != 0
    assert "unknown label 'fine'" in err
    assert not data.exists()
    status, _, err = run(capfd, *command, "--label", "*=benign")
    assert status == 0
    assert "imported 2 prompts: 1 harmful, 1 benign" in err
    assert run(capfd, "prompts", "import", file, "--column", "question")[0] == 2


def test_prompts_show_counts_and_samples(capfd: pytest.CaptureFixture[str], few_prompts: Path) -> None:
    status, out, _ = run(capfd, "prompts", "show", few_prompts, "--limit", "2", "--json")
    shown = json.loads(out)
    assert status == 0
    assert (shown["prompts"], shown["harmful"], shown["benign"], shown["pairs"]) == (24, 12, 12, 12)
    assert [prompt["id"] for prompt in shown["first"]] == ["art-01-harmful", "art-01-benign"]


def test_trace_writes_the_capture_and_its_certificate(
    capfd: pytest.CaptureFixture[str], model_folder: Path, few_prompts: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    out_dir = tmp_path / "a" / "trace"
    arguments = ("--model", model_folder, "--prompts", few_prompts, "--out", out_dir, "--max-new-tokens", "3", "--json")
    status, out, _ = run(capfd, "trace", *arguments)
    assert status == 0
    certificate = json.loads(out)
    assert certificate == json.loads((out_dir / "certificate.json").read_text())
    assert certificate["passed"] is True
    assert {path.name for path in out_dir.iterdir()} == {"answers.jsonl", "certificate.json", "trace.safetensors"}
    arrays = load_file(out_dir / "trace.safetensors")
    # 24 prompts, 3 windows, 2 sparse layers, 8 experts; every prompt token selects 3 experts in every layer
    assert arrays["selections"].shape == (24, 3, 2, 8)
    assert (arrays["selections"].sum(-1) == 3 * arrays["tokens"][:, :, None]).all()
    assert len((out_dir / "answers.jsonl").read_text().splitlines()) == 24


def test_audit_in_a_pipe_prints_one_document_and_no_bar(few_prompts: Path, tmp_path: Path) -> None:
    """A process of its own: what libraries print at import and while loading counts too."""
    out_dir = tmp_path / "out"
    command = [sys.executable, "-m", "backend.cli", "audit", "--model", "organism:planted", "--preset", "quick"]
    command += ["--prompts", str(few_prompts), "--out", str(out_dir), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    names = {"certificate.json", "experts.csv", "report.html", "report.json"}
    assert {path.name for path in out_dir.iterdir()} == names
    assert report == json.loads((out_dir / "report.json").read_text(encoding="utf-8"))
    assert report["model"]["ref"] == "organism:planted"
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in out_dir.iterdir())


def test_organism_train_refuses_a_name_that_is_none(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = run(capfd, "organism", "train", "unicorn", "--out", tmp_path / "out")
    assert status == 1
    assert "attention, confounded, distributed, dormant, planted, redundant, routed" in err
    assert not (tmp_path / "out").exists()


def test_conformance_prints_one_row_for_each_family_that_was_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capfd, "conformance", "--family", "switch_transformers", "--family", "mixtral", "--json")
    rows = json.loads(out)
    assert status == 0
    assert [(row["family"], row["status"]) for row in rows] == [
        ("switch_transformers", "unsupported"),
        ("mixtral", "exact"),
    ]
    assert {
        "reason",
        "layers_expected",
        "layers_seen",
        "assignments_expected",
        "assignments_seen",
        "mask",
        "tune",
    } <= set(rows[1])
    assert err.strip() == "1 exact, 1 unsupported, 0 wrong"
