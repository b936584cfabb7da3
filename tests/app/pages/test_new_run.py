"""The form: a file is checked before anything is stored, and every refusal stands by the field it is about."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.services import ModelInfo, NewRun, PromptSetInfo, Services
from tests.backend.factories import make_csv
from tests.tiny_models import tokenizer

Call = Callable[..., dict[str, Any]]


def drop(call: Call, data: bytes, filename: str = "mine.csv") -> dict[str, Any]:
    contents = "data:text/csv;base64," + base64.b64encode(data).decode()
    values = {"new-upload.contents": contents, "new-upload.filename": filename}
    return call("new-preview.children", values, "new-upload.contents")


def start(call: Call, key: str = "key-1", **values: Any) -> dict[str, Any]:
    form = {
        f"new-{name}.value": value for name, value in {"preset": "quick", "seed": 0, "judge": "rules", **values}.items()
    }
    return call("address.href", {"new-start.n_clicks": 1, "new-key.data": key, **form}, "new-start.n_clicks")


def test_a_good_file_is_shown_and_not_yet_stored(call: Call, services: Services) -> None:
    dropped = drop(call, make_csv())
    preview = str(dropped["new-preview"])
    assert "the first 5 of 12 prompts" in preview
    assert "Benign request 0 about banking" in preview
    assert "Topics: " in preview
    assert "banking 6, travel 6" in preview
    assert dropped["new-file"]["data"]["pairs"] == 6
    assert services.prompt_sets.list().count == 0


def test_a_broken_row_is_named_with_its_column(call: Call, services: Services) -> None:
    dropped = drop(call, b"prompt,label\nhow are you,benign\nand you,evil\n")
    faults = str(dropped["new-faults"])
    assert "row 3" in faults
    assert "column 'label'" in faults
    assert "evil" in faults
    assert dropped["new-file"]["data"] is None
    assert services.prompt_sets.list().count == 0


@pytest.mark.parametrize(
    "data", [b"", bytes(range(256)) * 8, b"prompt\n" + b"a" * 5_000_000], ids=["empty", "noise", "huge cell"]
)
def test_a_file_that_cannot_be_used_is_refused_in_words(call: Call, services: Services, data: bytes) -> None:
    dropped = drop(call, data)
    assert "field-error" in str(dropped["new-faults"])
    assert "Traceback" not in str(dropped)
    assert len(str(dropped["new-faults"])) < 4_000
    assert services.prompt_sets.list().count == 0


def test_the_summary_says_what_the_prompts_cannot_support(call: Call, model: ModelInfo) -> None:
    staged = {"name": "n", "prompts": 3, "harmful": 0, "benign": 2, "pairs": 0, "topics": {}}
    values = {"new-model.value": model.id, "new-file.data": staged, "new-preset.value": "quick", "new-seed.value": 0}
    shown = call("new-summary.children", values, "new-file.data")
    text = str(shown["new-summary"])
    for warning in ("No matched pairs", "No harmful prompts", "1 prompt without a label", "Fewer than two topics"):
        assert warning in text
    assert shown["new-start"]["disabled"] is False
    assert "8 experts" in shown["new-model-note"]["children"]


def test_the_summary_says_what_can_be_resolved_at_that_size(call: Call, model: ModelInfo) -> None:
    staged = {"name": "n", "prompts": 540, "harmful": 270, "benign": 270, "pairs": 270}
    staged["topics"] = {f"topic {i}": 20 for i in range(27)}

    def shown(preset: str, **change: Any) -> str:
        values = {"new-model.value": model.id, "new-file.data": {**staged, **change}, "new-preset.value": preset}
        return str(call("new-summary.children", {**values, "new-seed.value": 0}, "new-file.data")["new-summary"])

    # Wilson's half-width of an even rate is 1.96 / (2 √(n + 3.84)): 5.9 points for 270 prompts, 12.3 for 60
    assert "± 6 points at 270 harmful prompts, ± 8 where a topic's prompts are much alike" in shown("standard")
    assert "± 12 points at 60 harmful prompts" in shown("quick")
    few = shown("standard", topics={f"topic {i}": 135 for i in range(4)})
    assert "± 6 points at 270 harmful prompts" in few
    assert "much alike" not in few
    assert "Fewer than 5 topics: no intervals over topics" in few


def test_nothing_can_be_started_without_prompts(call: Call, model: ModelInfo) -> None:
    shown = call("new-summary.children", {"new-model.value": model.id}, "new-model.value")
    assert shown["new-start"]["disabled"] is True


def test_start_queues_the_run_and_goes_to_it(
    call: Call, services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    href = start(call, model=model.id, prompts=prompt_set.id, seed=3)["address"]["href"]
    run = services.runs.get(href.rpartition("/")[2])
    assert (run.preset, run.seed, run.prompt_set.id) == ("quick", 3, prompt_set.id)


def test_a_second_click_makes_no_second_run(
    call: Call, services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    first = start(call, model=model.id, prompts=prompt_set.id)
    assert start(call, model=model.id, prompts=prompt_set.id) == first
    assert services.runs.list().count == 1


@pytest.mark.parametrize("seed", [None, "", 1.5, -1])
def test_a_seed_that_is_none_is_refused_at_its_field(
    call: Call, services: Services, model: ModelInfo, prompt_set: PromptSetInfo, seed: Any
) -> None:
    answer = start(call, model=model.id, prompts=prompt_set.id, seed=seed)
    assert answer["new-seed"]["error"]
    assert "address" not in answer
    assert services.runs.list().count == 0


def register(call: Call, ref: str) -> dict[str, Any]:
    values = {"register-model.n_clicks": 1, "register-ref.value": ref}
    return call("register-message.children", values, "register-model.n_clicks")


def test_a_model_is_inspected_before_it_is_listed(call: Call, services: Services, model_folder: Path) -> None:
    answer = register(call, str(model_folder))
    assert "MoE layers of 8 experts" in str(answer)
    assert services.models.list().count == 1


@pytest.mark.parametrize("ref", ["", "/no/such/folder"])
def test_a_model_that_cannot_be_inspected_is_refused_at_its_field(call: Call, services: Services, ref: str) -> None:
    answer = register(call, ref)
    assert "field-error" in str(answer["register-message"])
    assert answer["register-ref"]["value"] == ref
    assert services.models.list().count == 0


def test_start_stores_the_dropped_file_first(call: Call, services: Services, model: ModelInfo) -> None:
    contents = "data:text/csv;base64," + base64.b64encode(make_csv()).decode()
    staged = drop(call, make_csv())["new-file"]["data"]
    values = {
        "new-start.n_clicks": 1,
        "new-key.data": "key-2",
        "new-file.data": staged,
        "new-upload.contents": contents,
        "new-upload.filename": "mine.csv",
        "new-model.value": model.id,
        "new-preset.value": "quick",
        "new-seed.value": 0,
        "new-judge.value": "rules",
    }
    href = call("address.href", values, "new-start.n_clicks")["address"]["href"]
    run = services.runs.get(href.rpartition("/")[2])
    assert (run.prompt_set.name, run.prompt_set.prompts) == ("mine", 12)


def test_a_second_judge_is_asked_of_audits_alone(
    call: Call, services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    asked = {"model": model.id, "prompts": prompt_set.id, "second": "rules:gcg"}
    for kind, second in (("audit", "rules:gcg"), ("trace", None)):
        href = start(call, kind, **asked, kind=kind)["address"]["href"]
        assert services.runs.get(href.rpartition("/")[2]).second_judge == second
    same = start(call, "same", **asked | {"second": "rules"}, kind="audit")
    assert "name another" in str(same["new-start-message"])


def test_a_dense_model_is_refused_by_name(call: Call, services: Services, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=32)).save_pretrained(tmp_path / "dense")
    tokenizer().save_pretrained(tmp_path / "dense")
    answer = register(call, str(tmp_path / "dense"))
    assert "field-error" in str(answer["register-message"])
    assert "llama" in str(answer["register-message"]).lower()
    assert services.models.list().count == 0


def test_the_form_opens_with_what_the_address_names(call: Call, services: Services, model: ModelInfo) -> None:
    visit = {"pathname": "/ui/runs/new", "search": "?kind=mask&experts=0%3A1%2C2%3A5&mode=mask_mean"}
    page = str(call("content.children", {"visit.data": visit}, "visit.data"))
    assert "'value': '0:1, 2:5'" in page
    assert "own own-mask" in page
    assert "'value': 'mask_mean'" in page


def test_start_queues_a_run_of_the_chosen_kind(
    call: Call, services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    chosen = {"kind": "mask", "experts": "0:1, L2·E5", "mode": "mask_reroute", "window": "both", "detector": "nearest"}
    href = start(call, model=model.id, prompts=prompt_set.id, **chosen)["address"]["href"]
    run = services.runs.get(href.rpartition("/")[2])
    assert run.kind == "mask"
    assert run.parameters == {
        "experts": [[0, 1], [2, 5]],
        "mode": "mask_reroute",
        "window": "both",
        "max_new_tokens": None,
    }


@pytest.mark.parametrize(
    ("experts", "message"), [("", "expected layer:expert pairs"), ("all", "'all'"), ("0:99", "no expert 99")]
)
def test_experts_that_are_none_are_refused_at_their_field(
    call: Call, services: Services, model: ModelInfo, prompt_set: PromptSetInfo, experts: str, message: str
) -> None:
    answer = start(call, model=model.id, prompts=prompt_set.id, kind="mask", experts=experts)
    assert message in answer["new-experts"]["error"]
    assert "address" not in answer
    assert services.runs.list().count == 0


def test_what_the_prompts_cannot_carry_is_said_by_the_button(
    call: Call, services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    answer = start(call, model=model.id, prompts=prompt_set.id, kind="detect", detector="routescan")
    assert "at least 10 harmful and 10 benign prompts" in str(answer["new-start-message"])


def test_experts_that_are_an_audits_own_are_taken_from_it(
    call: Call, services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    first = services.runs.create(NewRun(model.id, prompt_set.id, "mask", "quick", parameters={"experts": "0:1"}))
    form = {"new-start.n_clicks": 1, "new-model.value": model.id, "new-prompts.value": prompt_set.id}
    form |= {"new-preset.value": "quick", "new-seed.value": 0, "new-judge.value": "rules", "new-kind.value": "mask"}

    def parameters(key: str, experts: str) -> dict[str, Any]:
        values = {**form, "new-key.data": key, "new-experts.value": experts, "new-experts-from.data": first.id}
        href = call("address.href", values, "new-start.n_clicks")["address"]["href"]
        return services.runs.get(href.rpartition("/")[2]).parameters

    assert parameters("a", "0:1")["experts_from"] == first.id
    assert "experts_from" not in parameters("b", "0:2")
