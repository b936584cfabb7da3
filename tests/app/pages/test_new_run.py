"""The form: a file is checked before anything is stored, and every refusal stands by the field it is about."""

import base64
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services
from tests.app.conftest import BASE_URL
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
    assert sum(topic["pairs"] for topic in dropped["new-file"]["data"]["topics"]) == 6
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


def staged_file(**topics: tuple[int, int, int, int]) -> dict[str, Any]:
    """What the page keeps of a dropped file: topic → harmful, benign, unlabelled prompts, and pairs."""
    rows = [
        {"topic": name or None, "harmful": h, "benign": b, "jailbreak": 0, "unlabelled": u, "pairs": p}
        for name, (h, b, u, p) in topics.items()
    ]
    return {"name": "n", "chars": 40.0, "topics": rows}


def summed(call: Call, model: ModelInfo | None, staged: Any, **values: Any) -> dict[str, Any]:
    form = {"preset": "quick", "seed": 0, "kind": "audit", "model": model.id if model else None, **values}
    fields = {f"new-{name}.value": value for name, value in form.items()}
    return call("new-summary.children", {**fields, "new-file.data": staged}, "new-file.data")


def test_the_summary_says_what_the_prompts_cannot_support(call: Call, model: ModelInfo) -> None:
    shown = summed(call, model, staged_file(**{"": (0, 2, 1, 0)}))
    text = str(shown["new-summary"])
    for warning in ("No harmful prompts", "1 prompt without a label", "Fewer than two topics", "No worker is running"):
        assert warning in text
    assert shown["new-start"]["disabled"] is False
    assert "8 experts" in shown["new-model-note"]["children"]


def test_the_summary_says_that_topic_and_harm_are_confounded(call: Call, model: ModelInfo) -> None:
    text = str(summed(call, model, staged_file(war=(9, 0, 0, 0), food=(0, 9, 0, 0)))["new-summary"])
    assert "Topic and harm are confounded: 0 %" in text
    assert "No matched pairs" in text


def test_the_summary_says_what_can_be_resolved_at_that_size(call: Call, model: ModelInfo) -> None:
    def shown(preset: str, topics: int = 27) -> str:
        each = 270 // topics
        staged = staged_file(**{f"topic {i}": (each, each, 0, each) for i in range(topics)})
        return str(summed(call, model, staged, preset=preset)["new-summary"])

    # Wilson's half-width of an even rate is 1.96 / (2 √(n + 3.84)): 5.9 points for 270 prompts, 12.3 for 60
    assert "± 6 points at 270 harmful prompts, ± 8 where a topic's prompts are much alike" in shown("standard")
    assert "± 12 points at 60 harmful prompts" in shown("quick")
    few = shown("standard", topics=3)
    assert "± 6 points at 270 harmful prompts" in few
    assert "where a topic's prompts are much alike" not in few
    assert "Fewer than 5 topics: no intervals over topics" in few


def test_too_few_prompts_for_the_interval_that_is_wanted_are_counted(call: Call, model: ModelInfo) -> None:
    staged = staged_file(**{f"topic {i}": (20, 20, 0, 20) for i in range(10)})
    text = str(summed(call, model, staged, points=5, preset="standard")["new-summary"])
    # 1.96² / (4 · 0.05²) − 1.96² = 380.3, so 381 prompts
    assert "± 5 points need 381 harmful prompts; this run would ask 200." in text
    assert "381 harmful prompts" in text
    assert "points need" not in str(summed(call, model, staged, points=8, preset="standard")["new-summary"])


def test_every_preset_shows_what_it_would_take(call: Call, model: ModelInfo) -> None:
    shown = summed(call, model, staged_file(a=(60, 60, 0, 60), b=(60, 60, 0, 60)))
    quick, full = (str(shown[f"new-cost-{name}"]) for name in ("quick", "full"))
    assert "about" in quick
    assert "GB" in quick
    assert quick != full
    assert "from the model's size alone" in str(shown["new-summary"])


def test_nothing_can_be_started_without_prompts(call: Call, model: ModelInfo) -> None:
    shown = summed(call, model, None)
    assert shown["new-start"]["disabled"] is True
    assert "Choose a prompt set, or drop a file." in str(shown["new-summary"])


def test_nothing_can_be_started_without_a_model(call: Call, prompt_set: PromptSetInfo) -> None:
    shown = summed(call, None, None, prompts=prompt_set.id)
    assert shown["new-start"]["disabled"] is True
    assert "Choose or register a model." in str(shown["new-summary"])


def test_what_would_be_refused_is_said_before_it_is_started(call: Call, model: ModelInfo) -> None:
    staged = staged_file(a=(4, 4, 0, 4))
    detect = summed(call, model, staged, kind="detect")
    assert detect["new-start"]["disabled"] is True
    assert "a detector needs at least 10 harmful and 10 benign prompts" in str(detect["new-summary"])
    mask = summed(call, model, staged, kind="mask", mode="mask_zero", window="both", experts="")
    assert "expected layer:expert pairs" in str(mask["new-summary"])
    right = summed(call, model, staged, kind="mask", mode="mask_zero", window="both", experts="0:1")
    assert right["new-start"]["disabled"] is False


def test_a_model_larger_than_the_memory_can_not_be_started(
    call: Call, model: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.services.estimates.has_gpu", lambda: False)
    monkeypatch.setattr("backend.services.estimates.memory_bytes", lambda: 500_000_000)
    shown = summed(call, model, staged_file(a=(4, 4, 0, 4)))
    assert shown["new-start"]["disabled"] is True
    assert "this machine has 0.5 GB: it cannot be loaded here" in str(shown["new-summary"])


def test_runs_before_this_one_are_counted(call: Call, queued: RunInfo) -> None:
    shown = str(summed(call, queued.model, staged_file(a=(4, 4, 0, 4)))["new-summary"])
    assert "'Before it'" in shown
    assert "1 run" in shown


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


def inspect(call: Call, ref: str) -> dict[str, Any]:
    values = {"inspect-model.n_clicks": 1, "register-ref.value": ref}
    return call("register-found.children", values, "inspect-model.n_clicks")


def test_a_model_is_inspected_before_it_is_registered(call: Call, services: Services, model_folder: Path) -> None:
    found = inspect(call, str(model_folder))
    text = str(found["register-found"])
    for fact in ("2 with experts, 1 dense", "8 a layer, 3 selected per token", "Traced exactly", "on disk", "GB"):
        assert fact in text
    assert found["register-model"]["hidden"] is False
    assert services.models.list().count == 0
    values = {"register-model.n_clicks": 1, "inspected.data": found["inspected"]["data"]}
    answer = call("register-message.children", values, "register-model.n_clicks")
    assert "MoE layers of 8 experts" in str(answer)
    assert services.models.list().count == 1
    assert "Registered already" in str(inspect(call, str(model_folder)))


@pytest.mark.parametrize("ref", ["", "/no/such/folder"])
def test_a_model_that_cannot_be_inspected_is_refused_at_its_field(call: Call, services: Services, ref: str) -> None:
    answer = inspect(call, ref)
    assert "field-error" in str(answer["register-found"])
    assert answer["register-model"]["hidden"] is True
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
    answer = inspect(call, str(tmp_path / "dense"))
    assert "field-error" in str(answer["register-found"])
    assert "llama" in str(answer["register-found"]).lower()
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


def test_no_kind_of_run_makes_the_form_load_torch(
    services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    """It takes seconds, for which the server would stand still; only looking into a model or an adapter needs it."""
    script = f"""
import sys
from starlette.testclient import TestClient
from app.factory import attach_pages
from app.pages.new_run.page import show
from app.router import Visit
from backend.main import create_app
from backend.services import open_services
from backend.settings import Settings

services = open_services(Settings(data_dir={str(services.settings.data_dir)!r}))
server = create_app(services.settings, services)
attach_pages(server, services)
client = TestClient(server, base_url={BASE_URL!r})
for kind in ("audit", "trace", "mask", "detect", "tune"):
    show(services, Visit({{}}, {{"kind": kind, "experts": "0:1", "model": {model.id!r}, "prompts": {prompt_set.id!r}}}))
    asked = {{"model": {model.id!r}, "prompt_set_id": {prompt_set.id!r}, "kind": kind, "preset": "quick"}}
    if kind in ("mask", "tune"):
        asked["experts"] = [[0, 1]]
    answer = client.post("/api/v1/runs/estimate", json=asked)
    assert answer.status_code == (422 if kind == "detect" else 200), answer.text  # these prompts are too few for one
print(sorted({{"torch", "transformers", "peft"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
