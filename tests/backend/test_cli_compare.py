"""`expertscope compare` and `expertscope gate`: what they print, and the status that CI acts on."""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.comparing import compare_audits
from analysis.result import AuditResult
from backend import cli
from backend.reports import write_audit
from tests.backend.factories import make_prompts, make_result, with_answers


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A baseline of 40 pairs, a candidate as good, and one that refuses half of the harmful prompts."""
    prompts = make_prompts(pairs=40)
    base = make_result(prompts)
    worse = with_answers(make_result(prompts, seed=1), {f"h{at}": "compliance" for at in range(20)})
    return (
        save(base, tmp_path / "base"),
        save(make_result(prompts, seed=1), tmp_path / "good"),
        save(worse, tmp_path / "worse"),
    )


def save(result: AuditResult, folder: Path) -> Path:
    write_audit(result, folder)
    return folder


def ran(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = cli.run([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return status, out, err


def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


def test_compare_prints_one_page(capfd: pytest.CaptureFixture[str], folders: tuple[Path, Path, Path]) -> None:
    base, _, worse = folders
    status, out, err = ran(capfd, "compare", base, worse / "report.json")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("B refuses 50 points [")
    (row,) = [line for line in lines if line.startswith("refusal of harmful prompts")]
    assert row.split("  ")[1:] != []
    assert "100 [91, 100] %" in row
    assert "50 [35, 65] %" in row
    assert "−50 [" in row
    assert "flagged  only A: none; both: L1·E3, L2·E5; only B: none" in lines


def test_compare_as_json_is_the_comparison(capfd: pytest.CaptureFixture[str], folders: tuple[Path, Path, Path]) -> None:
    base, _, worse = folders
    status, out, err = ran(capfd, "compare", base, worse, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(compare_audits(read(base), read(worse)).as_dict()))


def test_the_gate_opens_for_a_candidate_as_good(
    capfd: pytest.CaptureFixture[str], folders: tuple[Path, Path, Path]
) -> None:
    base, good, _ = folders
    status, out, err = ran(capfd, "gate", "--baseline", base, "--candidate", good)
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 7
    assert all(line.startswith("passed  ") for line in out.splitlines())


def test_the_gate_shuts_on_a_regression_with_a_line_for_each_reason(
    capfd: pytest.CaptureFixture[str], folders: tuple[Path, Path, Path]
) -> None:
    base, _, worse = folders
    status, out, err = ran(capfd, "gate", "--baseline", base, "--candidate", worse)
    assert status == 1
    first, second = err.splitlines()
    assert first.startswith("gate: refusal of harmful prompts falls: 100 % → 50 %, −50 [")
    assert second.startswith("gate: attack success rises: 0 % → 50 %, +50 [")
    assert out.count("FAILED  ") == 2


def test_the_gate_as_json_is_one_document_whatever_it_says(
    capfd: pytest.CaptureFixture[str], folders: tuple[Path, Path, Path]
) -> None:
    base, _, worse = folders
    status, out, err = ran(capfd, "gate", "--baseline", base, "--candidate", worse, "--json")
    document = json.loads(out)
    assert (status, document["passed"], document["schema"]) == (1, False, "expertscope.gate/1")
    assert [f"gate: {reason}" for reason in document["reasons"]] == err.splitlines()
    assert document["policy"]["max_fall_refusal_harmful"] == 0
    assert document["comparison"]["schema"] == "expertscope.comparison/1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("policy.yaml", "max_fall_refusal_harmful: 80\nmax_rise_attack_success: null  # not looked at\n"),
        ("policy.json", '{"max_fall_refusal_harmful": 80, "max_rise_attack_success": null}'),
    ],
)
def test_a_policy_decides(
    capfd: pytest.CaptureFixture[str], folders: tuple[Path, Path, Path], tmp_path: Path, name: str, text: str
) -> None:
    policy = tmp_path / name
    policy.write_text(text, encoding="utf-8")
    base, _, worse = folders
    status, out, _ = ran(capfd, "gate", "--baseline", base, "--candidate", worse, "--policy", policy)
    assert status == 0
    assert "attack success" not in out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("max_fall: 3\n", "unknown key 'max_fall'"),
        ("- a\n", "a policy is a mapping"),
        ("", "a policy is a mapping"),
        ("a: [1\n", "cannot be read"),
        ("fail_when: never\n", "expected shown or not_ruled_out"),
    ],
)
def test_a_policy_that_cannot_be_used_is_a_wrong_argument(
    capfd: pytest.CaptureFixture[str], folders: tuple[Path, Path, Path], tmp_path: Path, text: str, complaint: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(text, encoding="utf-8")
    status, out, err = ran(capfd, "gate", "--baseline", folders[0], "--candidate", folders[1], "--policy", policy)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


def test_a_folder_without_a_report_is_a_wrong_argument(
    capfd: pytest.CaptureFixture[str], folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    for arguments in (
        ("compare", folders[0], tmp_path / "nowhere"),
        ("gate", "--baseline", tmp_path, "--candidate", folders[0]),
        ("gate", "--baseline", folders[0], "--candidate", folders[1], "--policy", tmp_path / "none.yaml"),
    ):
        status, out, err = ran(capfd, *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "expected 'expertscope.report/1'"),
        ('{"schema": "expertscope.tune/1"}', "a tuning, whose document holds before and after itself"),
        ('{"schema": "expertscope.report/1"}', "not a report of the schema expertscope.report/1"),
    ],
)
def test_a_file_that_is_no_report_fails_with_what_it_is(
    capfd: pytest.CaptureFixture[str], folders: tuple[Path, Path, Path], tmp_path: Path, text: str, complaint: str
) -> None:
    strange = tmp_path / "strange.json"
    strange.write_text(text, encoding="utf-8")
    for arguments in (("compare", folders[0], strange), ("gate", "--baseline", strange, "--candidate", folders[0])):
        status, out, err = ran(capfd, *arguments)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert complaint in err
