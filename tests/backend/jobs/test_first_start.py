"""An empty database is filled once, so that nobody meets an empty page."""

from pathlib import Path

import pytest

from analysis.organisms import organism_names
from backend.jobs import first_start
from backend.jobs.first_start import fill_empty_database
from backend.services import NewRun, Services
from tests.tiny_models import save_tiny_model


def refs(services: Services) -> set[str]:
    return {model.ref for model in services.models.list().items}


def test_organisms_sets_and_one_audit(services: Services) -> None:
    fill_empty_database(services)
    assert refs(services) == {f"organism:{name}" for name in organism_names()}
    sets = services.prompt_sets.list().items
    assert {info.source for info in sets} == {"builtin"}
    assert len(sets) == 2
    (run,) = services.runs.list().items
    assert (run.status, run.model.ref, run.preset) == ("queued", "organism:planted", "quick")
    assert run.prompt_set.pairs >= 120


def test_a_second_start_adds_nothing(services: Services) -> None:
    fill_empty_database(services)
    services.runs.cancel(services.runs.list().items[0].id)
    fill_empty_database(services)
    assert services.runs.list().count == 1


def test_a_database_with_runs_is_left_alone(services: Services, tmp_path: Path) -> None:
    prompts = services.prompt_sets.create(b"prompt,label\nHow?,benign\n", "one.csv")
    folder = save_tiny_model("olmoe", tmp_path / "model")
    services.runs.create(NewRun(model=str(folder), prompt_set_id=prompts.id))
    fill_empty_database(services)
    assert refs(services) == {str(folder)}
    assert services.runs.list().count == 1


def test_a_missing_part_does_not_keep_the_others_away(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_start, "organism_names", lambda: ("unicorn", "planted"))
    fill_empty_database(services)
    assert refs(services) == {"organism:planted"}
    assert services.runs.list().count == 1
