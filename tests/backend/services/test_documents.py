"""Documents of runs that are no audits: stored once, read by their own name, never mistaken for a report."""

from dataclasses import replace

import pytest

from analysis.errors import ConflictError, NotFoundError
from backend.services import NewRun, RunDocument, RunInfo, Services
from backend.services.documents import files_folder
from tests.backend.factories import make_csv

CONTENT = {
    "schema": "expertscope.mask/1",
    "verdict": {"sentence": "Nothing happens."},
    "certificate": {"passed": True},
    "value": 0.1,
}


@pytest.fixture
def masking(services: Services, new_run: NewRun) -> RunInfo:
    run = services.runs.create(replace(new_run, kind="mask", parameters={"experts": "0:3"}))
    return services.runs.mark_running(run.id)


@pytest.fixture
def masked(services: Services, masking: RunInfo) -> RunInfo:
    return services.runs.finish(masking.id, RunDocument(CONTENT))


def test_a_finished_run_has_its_document_and_headline(services: Services, masked: RunInfo) -> None:
    assert (masked.status, masked.headline) == ("done", "Nothing happens.")
    assert services.documents.get(masked.id) == CONTENT
    assert services.documents.named(masked.id, "mask.json") == CONTENT
    assert services.results.certificate(masked.id) == {"passed": True}


def test_finishing_again_changes_nothing(services: Services, masked: RunInfo) -> None:
    again = services.runs.finish(masked.id, RunDocument({**CONTENT, "value": 0.2}))
    assert again == masked
    assert services.documents.get(masked.id) == CONTENT


def test_a_document_with_a_number_that_json_lacks_is_not_stored(services: Services, masking: RunInfo) -> None:
    with pytest.raises(ValueError, match="JSON"):
        services.runs.finish(masking.id, RunDocument({**CONTENT, "value": float("nan")}))
    assert services.runs.get(masking.id).status == "running"
    with pytest.raises(ConflictError, match="is running and has no result"):
        services.documents.get(masking.id)


def test_another_kind_has_another_name(services: Services, masked: RunInfo, done: RunInfo) -> None:
    with pytest.raises(NotFoundError, match=r"of kind mask and has no tune\.json: its result is mask\.json"):
        services.documents.named(masked.id, "tune.json")
    with pytest.raises(NotFoundError, match=r"is an audit: its result is report\.json"):
        services.documents.get(done.id)
    with pytest.raises(NotFoundError, match="none of an audit's results"):
        services.results.report(masked.id)


def test_files_are_those_of_the_kind_and_no_path_leads_elsewhere(services: Services, new_run: NewRun) -> None:
    prompts = services.prompt_sets.create(make_csv(pairs=10), "enough.csv")
    asked = replace(new_run, kind="detect", prompt_set_id=prompts.id)
    run = services.runs.mark_running(services.runs.create(asked).id)
    folder = files_folder(services.settings, run.id)
    folder.mkdir(parents=True)
    (folder / "detector.safetensors").write_bytes(b"weights")
    (folder / "other").write_bytes(b"secret")
    with pytest.raises(ConflictError, match="running"):
        services.documents.file(run.id, "detector.safetensors")
    services.runs.finish(run.id, RunDocument({**CONTENT, "schema": "expertscope.detector/1"}))
    assert services.documents.file(run.id, "detector.safetensors").read_bytes() == b"weights"
    for name in ("other", "../files/other", "adapter.zip"):
        with pytest.raises(NotFoundError, match="left no"):
            services.documents.file(run.id, name)


def test_the_answers_of_a_document_are_counted_by_the_prompts_label(services: Services, masking: RunInfo) -> None:
    answers = [
        {"prompt_id": prompt, "before": before, "after": after, "sha256": "c" * 64}
        for prompt, before, after in (
            ("h0", "compliance", "refusal"),
            ("h1", "refusal", "refusal"),
            ("b0", "compliance", "partial"),
            ("gone", "refusal", "refusal"),
        )
    ]
    run = services.runs.finish(masking.id, RunDocument({**CONTENT, "answers": answers}))
    tables = services.documents.answer_tables(run.id)
    assert tables is not None
    assert {side: (table.prompts, table.changed) for side, table in tables.items()} == {
        "harmful": (2, 1),
        "benign": (1, 1),
    }


def test_a_document_without_answers_has_no_counts(services: Services, masked: RunInfo) -> None:
    assert services.documents.answer_tables(masked.id) is None
