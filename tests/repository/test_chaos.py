"""A few kills at random moments, as `make chaos` deals them by the hundred."""

from pathlib import Path

from benchmarks.chaos import Plan, storm


def test_killed_workers_lose_double_and_leave_nothing(tmp_path: Path) -> None:
    plan = Plan(runs=2, audits=1, prompts=12, kills=4, workers=2, pause=3.0, freezes=0, api=False, patience=600.0)
    outcome = storm(plan, tmp_path, lambda line: None)
    assert outcome.wrong == []
    assert (outcome.kills.total(), outcome.done, outcome.equal) == (4, 2, 2)
    assert outcome.attempts >= 2
