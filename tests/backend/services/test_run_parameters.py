"""What a run of each kind may be asked: refused when it is queued, not after the model was loaded."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest

from analysis.detectors import DETECTORS
from analysis.detectors.detection import FEWEST_PROMPTS
from analysis.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from analysis.interventions import Window
from analysis.masking import Mode
from analysis.tuning.recipes import RECIPES
from analysis.tuning.settings import Direction
from backend.access import Principal, Role, acting_as
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Runs, Services
from backend.services.run_parameters import FEWEST_TO_DETECT, PARAMETERS, Choice, parse_experts
from tests.backend.factories import make_csv, make_result


def asked(new_run: NewRun, kind: str, **parameters: Any) -> NewRun:
    return replace(new_run, kind=kind, parameters=parameters)


def created(services: Services, new_run: NewRun, kind: str, **parameters: Any) -> RunInfo:
    return services.runs.create(asked(new_run, kind, **parameters))


def choices(kind: str, name: str) -> list[str]:
    found: Mapping[str, Any] = PARAMETERS[kind]
    assert isinstance(found[name], Choice)
    return [*found[name].allowed]


def test_the_choices_are_those_of_the_analysis() -> None:
    assert choices("tune", "direction") == [*get_args(Direction)]
    assert sorted(choices("tune", "recipe")) == sorted(RECIPES)
    assert choices("mask", "mode") == [*get_args(Mode)]
    assert sorted(choices("mask", "window")) == sorted(get_args(Window))
    assert choices("detect", "detector") == [*DETECTORS]
    assert FEWEST_TO_DETECT == FEWEST_PROMPTS


def test_what_is_not_given_takes_its_default(services: Services, new_run: NewRun) -> None:
    run = created(services, new_run, "mask", experts=[[2, 5], [0, 3], [2, 5]])
    assert run.parameters == {
        "experts": [[0, 3], [2, 5]],
        "mode": "mask_zero",
        "window": "both",
        "max_new_tokens": None,
    }
    assert services.runs.get(run.id).parameters == run.parameters
    assert services.runs.create(new_run).parameters == {}


def test_the_name_says_what_is_no_audit(services: Services, new_run: NewRun) -> None:
    run = created(services, new_run, "mask", experts="0:3")
    assert run.name.startswith("tiny-qwen · mask · requests · ")


@pytest.mark.parametrize(
    ("kind", "parameters", "field", "message"),
    [
        ("audit", {"mode": "mask_zero"}, "mode", "no parameter of a run of kind audit"),
        ("mask", {"experts": "0:3", "detector": "routescan"}, "detector", "it has experts, experts_from"),
        ("mask", {"experts": "0:3", "mode": "mask_half"}, "mode", "mask_zero, mask_reroute, mask_mean"),
        ("mask", {"experts": "0:3", "max_new_tokens": 0}, "max_new_tokens", "1 to 8192"),
        ("mask", {"experts": "0:3", "max_new_tokens": True}, "max_new_tokens", "whole number"),
        ("mask", {}, "experts", "give either experts"),
        ("mask", {"experts": "0:3", "experts_from": "x"}, "experts", "give either experts"),
        ("mask", {"experts": []}, "experts", "expected a list"),
        ("mask", {"experts": [[1, "3"]]}, "experts", "no [layer, expert] pair"),
        ("mask", {"experts": [[1, 3, 4]]}, "experts", "no [layer, expert] pair"),
        ("mask", {"experts": "one:three"}, "experts", "expected layer:expert pairs"),
        ("mask", {"experts": "1:1"}, "experts", "layer 1 of tiny-qwen has no experts"),
        ("mask", {"experts": "0:8"}, "experts", "experts 0 to 7: there is no expert 8"),
        ("mask", {"experts": [[0, e] for e in range(6)]}, "experts", "at least the 3 that every token needs"),
        ("tune", {"experts": [[0, e] for e in range(9)]}, "experts", "there is no expert 8"),
        ("tune", {"experts": "0:3", "recipe": "magic"}, "recipe", "lora, merge_subtract"),
        ("tune", {"experts": "0:3", "rank": 0}, "rank", "1 to 64"),
        ("tune", {"experts": "0:3", "direction": "stress", "recipe": "rasa"}, "recipe", "stress has a single way"),
        ("detect", {"detector": "oracle"}, "detector", "routescan, router_logits, nearest"),
        ("trace", {"experts": "0:3"}, "experts", "no parameter of a run of kind trace"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    services: Services, new_run: NewRun, kind: str, parameters: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        created(services, new_run, kind, **parameters)
    assert caught.value.field == field
    assert message in caught.value.message
    assert services.runs.list().count == 0


@pytest.mark.parametrize("text", ["1:3, 2:5", "L1·E3 L2·E5", "1.3;2.5", " l1:e3 ,L2 E5 "])
def test_experts_may_be_typed_as_they_are_read(text: str) -> None:
    assert parse_experts(text) == [[1, 3], [2, 5]]


@pytest.mark.parametrize("text", ["", " ", "1", "1:", "1:3 and 2:5", "x" * 500])
def test_what_is_no_list_of_experts_is_shown_in_short(text: str) -> None:
    with pytest.raises(InputError, match="expected layer:expert pairs") as caught:
        parse_experts(text)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("kind", "label", "parameters", "message"),
    [
        ("mask", "benign", {"experts": "0:3"}, "no prompt labelled harmful"),
        ("mask", "harmful", {"experts": "0:3", "mode": "mask_mean"}, "an expert's mean output"),
        ("tune", "harmful", {"experts": "0:3"}, "no prompt labelled benign"),
        ("detect", "harmful", {}, "at least 10 harmful and 10 benign prompts; 'few' has 12 and 0"),
    ],
)
def test_prompts_without_the_labels_are_refused(
    services: Services, new_run: NewRun, kind: str, label: str, parameters: dict[str, Any], message: str
) -> None:
    rows = "\n".join(f"request {i},{label}" for i in range(12))
    few = services.prompt_sets.create(f"prompt,label\n{rows}\n".encode(), "few.csv")
    with pytest.raises(InputError) as caught:
        services.runs.create(asked(replace(new_run, prompt_set_id=few.id), kind, **parameters))
    assert message in caught.value.message
    assert caught.value.field == "prompt_set_id"


def test_experts_of_an_audit_are_those_it_flagged(
    services: Services, new_run: NewRun, running: RunInfo, prompt_set: PromptSetInfo
) -> None:
    flagged = ((2, 5), (2, 3))
    done = services.runs.finish(running.id, make_result(services.prompt_sets.load(prompt_set.id), flagged=flagged))
    run = created(services, new_run, "mask", experts_from=done.id)
    assert run.parameters["experts"] == [[2, 3], [2, 5]]
    assert run.parameters["experts_from"] == done.id
    again = created(services, new_run, "mask", experts_from=run.id)
    assert again.parameters["experts"] == run.parameters["experts"]


def test_experts_of_a_run_that_has_none_are_refused(
    services: Services, new_run: NewRun, running: RunInfo, prompt_set: PromptSetInfo
) -> None:
    with pytest.raises(NotFoundError, match="zzzzzzzzzzzz"):
        created(services, new_run, "mask", experts_from="zzzzzzzzzzzz")
    with pytest.raises(ConflictError, match="running and has flagged no expert yet"):
        created(services, new_run, "mask", experts_from=running.id)
    services.runs.finish(running.id, make_result(services.prompt_sets.load(prompt_set.id), flagged=()))
    with pytest.raises(InputError, match="flagged no expert"):
        created(services, new_run, "mask", experts_from=running.id)
    traced = created(services, new_run, "trace")
    with pytest.raises(InputError, match="of kind trace and names no experts"):
        created(services, new_run, "mask", experts_from=traced.id)


def test_experts_of_another_model_are_refused(services: Services, new_run: NewRun, done: RunInfo) -> None:
    other: ModelInfo = services.models.register("organism:planted")
    prompts = services.prompt_sets.create(make_csv(), "requests.csv")
    with pytest.raises(InputError, match="their experts are not the same"):
        created(services, replace(new_run, model=other.id, prompt_set_id=prompts.id), "mask", experts_from=done.id)


def test_a_key_belongs_to_its_parameters_too(services: Services, new_run: NewRun) -> None:
    first = services.runs.create(asked(new_run, "mask", experts="0:3"), "key")
    assert services.runs.create(asked(new_run, "mask", experts="0:3"), "key") == first
    with pytest.raises(ConflictError):
        services.runs.create(asked(new_run, "mask", experts="0:4"), "key")


def test_runs_are_listed_by_kind(services: Services, new_run: NewRun) -> None:
    audit, mask = services.runs.create(new_run), created(services, new_run, "mask", experts="0:3")
    assert [run.id for run in services.runs.list(kind="mask").items] == [mask.id]
    assert [run.id for run in services.runs.list(kind="audit").items] == [audit.id]
    with pytest.raises(InputError, match="audit, trace, mask, detect, tune"):
        services.runs.list(kind="dance")


def test_stress_needs_the_setting_and_a_role(services: Services, new_run: NewRun) -> None:
    request = asked(new_run, "tune", experts="0:3", direction="stress")
    with pytest.raises(ForbiddenError, match="EXPERTSCOPE_ALLOW_STRESS_TUNING=true"):
        services.runs.create(request)
    settings = services.settings.model_copy(update={"allow_stress_tuning": True})
    runs = Runs(services.database, settings, services.models, services.prompt_sets)
    with acting_as(Principal("ann", Role.ANALYST, "session")):
        parameters = runs.create(request).parameters
        assert (parameters["actor"], parameters["role"]) == ("ann", "analyst")
    with acting_as(Principal("vera", Role.VIEWER, "session")), pytest.raises(ForbiddenError, match="role analyst"):
        runs.create(request)


@pytest.mark.parametrize("name", ["actor", "role"])
def test_nobody_gives_themselves_a_role(services: Services, new_run: NewRun, name: str) -> None:
    with pytest.raises(InputError, match="no parameter of a run of kind tune"):
        created(services, new_run, "tune", experts="0:3", **{name: "admin"})
