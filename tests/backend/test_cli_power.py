"""`expertscope prompts power`: prompts for a half-width, and the other way round."""

import json

import pytest

from backend import cli


def power(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.run(["prompts", "power", *arguments])
    out, err = capfd.readouterr()
    return status, out, err


def test_prompts_for_a_half_width(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, _ = power(capfd, "--points", "4", "--rate", "0.72", "--json")
    assert status == 0
    answer = json.loads(out)
    # the normal approximation says 484
    assert answer == {"prompts": 482, "points": 4.0, "of": "rate", "topics": None, "icc": None}


def test_half_width_of_prompts_over_topics(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, _ = power(capfd, "--prompts", "270", "--topics", "27")
    assert status == 0
    assert dict(line.split("\t") for line in out.splitlines()) == {
        "prompts": "270",
        "points": "8.5",
        "of": "rate",
        "topics": "27",
        "icc": "0.1",
    }


def test_prompts_for_a_paired_difference(capfd: pytest.CaptureFixture[str]) -> None:
    # 1.96² · 0.3 / 0.1² = 115.2
    status, out, _ = power(capfd, "--points", "10", "--changed", "0.3", "--json")
    assert status == 0
    assert json.loads(out)["prompts"] == 116


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "either --points"),
        (["--points", "5", "--prompts", "10"], "either --points"),
        (["--points", "5", "--topics", "6", "--icc", "0.3"], "take more topics"),
        (["--prompts", "50", "--topics", "3"], "needs at least 5"),
        (["--points", "70"], "expected a share between 0 and 0.5"),
    ],
)
def test_what_cannot_be_worked_out_is_refused_in_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    status, out, err = power(capfd, *arguments)
    assert status == 1
    assert out == ""
    assert complaint in err
    assert len(err.splitlines()) == 1
