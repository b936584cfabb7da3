"""Runs as people see them: created once, listed, named, resolved from references."""

from dataclasses import replace

import pytest

from analysis.errors import ConflictError, InputError, NotFoundError
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services
from tests.backend.factories import audited


def test_a_new_run_waits_and_says_what_it_is(queued: RunInfo, model: ModelInfo, prompt_set: PromptSetInfo) -> None:
    assert (queued.status, queued.preset, queued.device, queued.seed) == ("queued", "quick", "auto", 0)
    assert (queued.model, queued.prompt_set) == (model, prompt_set)
    assert (queued.progress, queued.started, queued.finished, queued.error, queued.headline) == (None,) * 5
    local = queued.created.astimezone()
    assert queued.name == f"tiny-qwen · requests · {local.day} {local:%b %H:%M}"


def test_a_repeat_with_the_same_key_gives_the_same_run(services: Services, new_run: NewRun) -> None:
    first = services.runs.create(new_run, "key-1")
    assert services.runs.create(new_run, "key-1") == first
    assert services.runs.list().count == 1


def test_a_key_cannot_be_used_for_another_request(services: Services, new_run: NewRun) -> None:
    first = services.runs.create(new_run, "key-1")
    with pytest.raises(ConflictError, match=first.id):
        services.runs.create(replace(new_run, seed=1), "key-1")
    assert services.runs.list().count == 1


def test_without_a_key_every_request_is_a_run(services: Services, new_run: NewRun) -> None:
    assert services.runs.create(new_run).id != services.runs.create(new_run).id


def test_a_run_may_name_model_and_prompts_by_reference(services: Services, model: ModelInfo) -> None:
    run = services.runs.create(NewRun(model=model.ref, prompt_set_id="builtin:topic-pairs"))
    assert run.model == model
    assert (run.prompt_set.name, run.prompt_set.source) == ("topic-pairs", "builtin")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "dance"}, "kind"),
        ({"preset": "huge"}, "preset"),
        ({"device": "tpu"}, "device"),
        ({"seed": -1}, "seed"),
        ({"judge": "oracle"}, "judge"),
    ],
)
def test_values_that_no_run_can_have_are_refused(services: Services, new_run: NewRun, change: dict, field: str) -> None:
    with pytest.raises(InputError) as caught:
        services.runs.create(replace(new_run, **change))
    assert caught.value.field == field
    assert services.runs.list().count == 0


def test_unknown_models_prompt_sets_and_runs_are_not_found(services: Services, new_run: NewRun) -> None:
    for unknown in (replace(new_run, model="zzzzzzzzzzzz"), replace(new_run, prompt_set_id="zzzzzzzzzzzz")):
        with pytest.raises(NotFoundError, match="zzzzzzzzzzzz"):
            services.runs.create(unknown)
    for call in (services.runs.get, services.runs.cancel, services.runs.resume, services.runs.events):
        with pytest.raises(NotFoundError, match="zzzzzzzzzzzz"):
            call("zzzzzzzzzzzz")


def test_runs_are_listed_by_status_and_model(services: Services, new_run: NewRun, model: ModelInfo) -> None:
    first, second = services.runs.create(new_run), services.runs.create(new_run)
    services.runs.cancel(first.id)
    assert [run.id for run in services.runs.list(status="queued").items] == [second.id]
    for name in (model.id, model.ref, model.name):
        assert services.runs.list(model=name).count == 2
    assert services.runs.list(model="someone-else").count == 0
    with pytest.raises(InputError, match="queued, running, done"):
        services.runs.list(status="sleeping")


def test_the_queue_gives_the_longest_waiting_first(services: Services, new_run: NewRun) -> None:
    created = [services.runs.create(new_run).id for _ in range(3)]
    assert [run.id for run in services.runs.queued()] == created


def test_runs_are_counted_by_status(services: Services, queued: RunInfo, new_run: NewRun) -> None:
    services.runs.cancel(services.runs.create(new_run).id)
    assert services.runs.counts() == {"queued": 1, "running": 0, "done": 0, "failed": 0, "cancelled": 1}


def test_the_runs_made_from_an_audit_are_found_newest_first(services: Services, new_run: NewRun) -> None:
    done = audited(services, new_run)
    own = {"experts_from": done.id}
    mask = services.runs.create(replace(new_run, kind="mask", parameters=own))
    tune = services.runs.create(replace(new_run, kind="tune", parameters=own))
    services.runs.create(replace(new_run, kind="mask", parameters={"experts": "0:3"}))
    found = services.runs.made_from(done.id)
    assert ([run.id for run in found.items], found.count) == ([tune.id, mask.id], 2)
    assert services.runs.made_from(mask.id).items == []
    assert [run.id for run in services.runs.made_from(done.id, limit=1).items] == [tune.id]
    with pytest.raises(NotFoundError):
        services.runs.made_from("zzzzzzzzzzzz")
