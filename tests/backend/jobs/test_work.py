"""Runs of every kind on a tiny organism: each ends with the document that its schema promises, and survives a stop."""

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
import pytest
import torch
from safetensors.numpy import load_file

from analysis.detectors.trained import load_detector
from analysis.errors import ForbiddenError
from analysis.organisms import organism_path
from analysis.shards import FolderShards, Shard
from analysis.tuning.objective import Loss, Objective
from analysis.tuning.targets import Example
from backend.jobs.run_job import RunJob
from backend.services import NewRun, Permits, RunInfo, Runs, Services
from backend.settings import Settings

PROMPTS = 24
MASKED = [[0, 1], [2, 10]]


@pytest.fixture
def prompt_set_id(services: Services) -> str:
    """The first pairs of the organism's own set."""
    lines = (organism_path("planted") / "prompts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    return services.prompt_sets.create("".join(lines[: PROMPTS + 1]).encode(), "few.csv").id


@pytest.fixture
def queue(services: Services, prompt_set_id: str) -> Callable[..., RunInfo]:
    def make(kind: Any, **parameters: Any) -> RunInfo:
        asked = NewRun("organism:planted", prompt_set_id, kind, "quick", parameters=parameters)
        return services.runs.create(asked)

    return make


def valid(document: dict[str, Any], repository: Path, name: str) -> dict[str, Any]:
    jsonschema.validate(document, json.loads((repository / "docs" / name).read_text(encoding="utf-8")))
    return document


def perform(services: Services, run: RunInfo, shards: Any = None) -> RunInfo:
    store = shards or FolderShards(services.settings.run_dir(run.id) / "shards")
    assert RunJob(services).perform(services.runs.mark_running(run.id), store) == services.runs.get(run.id).status
    return services.runs.get(run.id)


class Stopping(FolderShards):
    """A store that asks for the run to be cancelled once `after` shards have been computed; it counts all of them."""

    def __init__(self, folder: Path, after: int = 10**6, stop: Callable[[], object] = lambda: None) -> None:
        super().__init__(folder)
        self.after, self.stop = after, stop
        self.computed: list[str] = []

    def once(self, key: str, compute: Callable[[], Shard]) -> Shard:
        def counted() -> Shard:
            self.computed.append(key)
            if len(self.computed) == self.after:
                self.stop()
            return compute()

        return super().once(key, counted)


def test_a_trace_ends_with_certificate_and_routing(
    services: Services, queue: Callable[..., RunInfo], repository: Path
) -> None:
    run = perform(services, queue("trace", max_new_tokens=4))
    assert (run.status, run.error) == ("done", None)
    document = valid(services.documents.get(run.id), repository, "trace.schema.json")
    assert document["certificate"]["passed"] is True
    assert document["prompts"]["harmful"] == PROMPTS // 2
    assert document["answers"]["count"] == PROMPTS
    load = document["load"]["frequency"]
    assert set(load) == {"all", "harmful", "benign"}
    # Every token selects k = 2 of 16 experts in each of 4 layers.
    assert [len(row) for row in load["all"]] == [16] * 4
    assert [sum(row) for row in load["all"]] == pytest.approx([2.0] * 4, abs=1e-4)
    assert document["routing"]["topic_ratio"]["estimate"] < 1
    assert str(run.headline).endswith("of too few topics for an interval.")


def test_a_mask_can_be_stopped_and_goes_on_from_its_shards(
    services: Services, queue: Callable[..., RunInfo], repository: Path
) -> None:
    run = queue("mask", experts=MASKED, max_new_tokens=8)
    folder = services.settings.run_dir(run.id) / "shards"
    first = Stopping(folder, 6, lambda: services.runs.cancel(run.id))
    assert perform(services, run, first).status == "cancelled"
    assert 6 <= len(first.computed) < 12

    services.runs.resume(run.id)
    second = Stopping(folder)
    done = perform(services, run, second)
    assert (done.status, done.error, done.attempts) == ("done", None, 2)
    assert not set(first.computed) & set(second.computed)
    document = valid(services.documents.named(run.id, "mask.json"), repository, "mask.schema.json")
    assert document["experts"] == MASKED
    assert document["settings"]["max_new_tokens"] == 8
    assert document["outcomes"]["refusal_harmful"]["after"]["estimate"] == 0
    assert done.headline == document["verdict"]["sentence"]
    assert done.progress is not None
    assert done.progress.stage == "utility"


def test_a_detector_is_kept_with_its_document(
    services: Services, queue: Callable[..., RunInfo], repository: Path
) -> None:
    run = perform(services, queue("detect", detector="router_logits"))
    assert (run.status, run.error) == ("done", None)
    document = valid(services.documents.get(run.id), repository, "detector.schema.json")
    assert document["detector"]["name"] == "router_logits"
    saved = load_detector(services.documents.file(run.id, "detector.safetensors"))
    assert saved.name == "router_logits"
    assert not [*services.settings.run_dir(run.id).glob(".files.*")]


def test_a_tuning_leaves_an_adapter_and_goes_on_from_its_sets(
    services: Services, queue: Callable[..., RunInfo], repository: Path
) -> None:
    run = queue("tune", experts=MASKED, steps=2, controls=1)
    folder = services.settings.run_dir(run.id) / "shards"
    # Computed: the capture and its spot check, the chosen set, and then one control after the other.
    first = Stopping(folder, 4, lambda: services.runs.cancel(run.id))
    assert perform(services, run, first).status == "cancelled"
    assert services.documents.has_file(run.id, "adapter.zip") is False
    services.runs.resume(run.id)
    second = Stopping(folder)
    done = perform(services, run, second)
    assert (done.status, done.error) == ("done", None)
    assert second.computed
    assert not set(first.computed) & set(second.computed)
    document = valid(services.documents.named(run.id, "tune.json"), repository, "tune.schema.json")
    assert (document["direction"], document["settings"]["steps"]) == ("harden", 2)
    assert done.headline == document["verdict"]["sentence"]
    with zipfile.ZipFile(services.documents.file(run.id, "adapter.zip")) as packed:
        assert {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"} <= set(packed.namelist())
    assert document["inspection"]["experts"] == MASKED
    assert document["inspection"]["routers"] == "unchanged"


def no_memory(*_args: object) -> NoReturn:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def no_number(self: Objective, part: Sequence[Example], *rest: Any) -> Loss:
    loss = Objective.part(self, part, *rest)
    return Loss(loss.total * torch.nan, loss.parts)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (no_memory, "out of memory: tried 16, 8, 4, 2, 1 sequences at a time"),
        (no_number, "step 1: the loss is nan"),
    ],
    ids=["memory", "not a number"],
)
def test_a_tuning_that_fails_says_why_and_leaves_earlier_results_alone(
    services: Services,
    queue: Callable[..., RunInfo],
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[..., Any],
    said: str,
) -> None:
    earlier = perform(services, queue("tune", experts=MASKED, steps=1, controls=0))
    kept = services.documents.get(earlier.id), services.documents.file(earlier.id, "adapter.zip").read_bytes()

    class Faulty(Objective):
        part = fault

    monkeypatch.setattr("analysis.tuning.recipes.Objective", Faulty)
    failed = perform(services, queue("tune", experts=MASKED, steps=1, controls=0))
    assert failed.status == "failed"
    assert said in str(failed.error)
    assert not services.documents.has_file(failed.id, "adapter.zip")
    assert (services.documents.get(earlier.id), services.documents.file(earlier.id, "adapter.zip").read_bytes()) == kept


def test_a_stress_run_is_recorded_and_leaves_nothing_but_its_document(
    settings: Settings, services: Services, prompt_set_id: str, repository: Path
) -> None:
    allowed = replace_settings(services, settings)
    asked = {"experts": MASKED, "steps": 2, "controls": 0, "direction": "stress"}
    run = allowed.runs.create(NewRun("organism:planted", prompt_set_id, "tune", "quick", parameters=asked))
    assert (run.parameters["actor"], run.parameters["role"]) == ("system", "admin")
    done = perform(allowed, run)
    assert (done.status, done.error) == ("done", None)
    document = valid(allowed.documents.get(run.id), repository, "tune.schema.json")
    entries = allowed.audit_log.entries(action="tuning.stress").items
    assert [entry.action for entry in entries] == ["tuning.stress.finished", "tuning.stress.started"]
    assert document["record"]["id"] == str(entries[1].id)
    assert not allowed.documents.has_file(run.id, "adapter.zip")
    assert all(set(answer) == {"prompt_id", "before", "after", "sha256"} for answer in document["answers"])
    kept = {path.name: load_file(path) for path in (settings.run_dir(run.id) / "shards").glob("tune-*.safetensors")}
    assert kept
    assert not any(arrays for arrays in kept.values())


def test_a_permission_that_was_taken_back_stops_a_stress_run(
    settings: Settings, services: Services, prompt_set_id: str
) -> None:
    asked = {"experts": MASKED, "steps": 2, "controls": 0, "direction": "stress"}
    request = NewRun("organism:planted", prompt_set_id, "tune", "quick", parameters=asked)
    with pytest.raises(ForbiddenError, match="EXPERTSCOPE_ALLOW_STRESS_TUNING"):
        services.runs.create(request)
    run = replace_settings(services, settings).runs.create(request)
    failed = perform(services, run)
    assert failed.status == "failed"
    assert "EXPERTSCOPE_ALLOW_STRESS_TUNING" in str(failed.error)
    assert services.audit_log.entries(action="tuning").count == 0


def replace_settings(services: Services, settings: Settings) -> Services:
    """The same database where stress tuning is allowed."""
    allowed = settings.model_copy(update={"allow_stress_tuning": True})
    return replace(
        services,
        settings=allowed,
        runs=Runs(services.database, allowed, services.models, services.prompt_sets),
        permits=Permits(allowed, services.audit_log),
    )


def test_what_the_work_refuses_is_the_runs_reason(services: Services, queue: Callable[..., RunInfo]) -> None:
    """Layers may differ in what the description sums up, so the work has the last word."""
    run = queue("mask", experts=MASKED)
    with services.database.write() as session:
        from backend.db.tables import RunRow

        row = session.get(RunRow, run.id)
        assert row is not None
        row.parameters = {**row.parameters, "experts": [[9, 1]]}
    failed = perform(services, run)
    assert failed.status == "failed"
    assert failed.error == "layer 9 has no experts: this model's MoE layers are 0, 1, 2, 3"
