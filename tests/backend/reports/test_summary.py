"""The one page that a meeting sees: finding, six questions, flagged experts, limits."""

from typing import Any

import pytest

from backend.reports import summarise
from tests.backend.factories import make_result

NAMES = ["Asked", "Capture", "Routing", "Experts", "Effect", "Doubt"]


def answers(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one.name: (one.answer, one.detail) for one in summarise(report).questions}


def test_six_questions_have_their_answers_with_intervals() -> None:
    found = answers(make_result().report)
    assert list(found) == NAMES
    assert found["Asked"][0] == "6 matched pairs over 2 topics, quick preset, seed 0."
    assert "3 MoE layers of 8 experts, 2 selected per token" in found["Asked"][1]
    assert found["Capture"][1] == "3 of 3 layers, 1\u202f200 of 1\u202f200 selections."
    assert found["Routing"][0] == "Routing follows topic, not safety: ρ = 0.24 [0.19, 0.29]."
    assert found["Experts"][0] == "2 of 24 experts carry refusal: L2·E5, L1·E3."
    assert found["Effect"][0] == (
        "Refusal of harmful prompts goes from 100 % [100, 100] to 0 % [0, 0] with the flagged experts masked; with "
        "matched random sets masked it is 99 % [98, 100] (p = 0.048)."
    )
    assert "3.10 [3.05, 3.15] nats; 100 matched random sets lose 0.01 (sd 0.02); p = 0.0099" in found["Effect"][1]
    assert found["Doubt"] == (
        "24 experts were ablated alone.",
        "2 quantities withheld; the last pages say which and why.",
    )


def test_no_such_expert_is_a_full_answer() -> None:
    report = make_result(flagged=()).report
    assert answers(report)["Experts"][0] == "No expert of 24 was found to carry refusal."
    assert answers(report)["Effect"][0] == (
        "The model refuses 100 % [100, 100] of harmful and 0 % [0, 0] of benign prompts."
    )
    assert summarise(report).flagged == ()


def test_a_capture_that_failed_is_said_first() -> None:
    report = make_result().report
    report["certificate"]["passed"] = False
    assert answers(report)["Capture"][0].startswith("Not exact")


def test_the_headline_stands_apart_from_its_basis_and_its_caveats() -> None:
    report = make_result().report
    report["verdict"] |= {"sentence": "2 experts carry refusal; masked, it is gone. Beware.", "caveats": ["Beware."]}
    found = summarise(report)
    assert (found.finding, found.basis, found.caveats) == (
        "2 experts carry refusal",
        "Masked, it is gone.",
        ("Beware.",),
    )


@pytest.mark.parametrize("flagged", [8, 12])
def test_at_most_eight_experts_have_a_line(flagged: int) -> None:
    report = make_result(flagged=tuple((1 + i // 8, i % 8) for i in range(flagged))).report
    found = summarise(report)
    assert (len(found.flagged), found.unlisted) == (8, flagged - 8)
    assert (" and 4 more." in answers(report)["Experts"][0]) is (flagged == 12)
