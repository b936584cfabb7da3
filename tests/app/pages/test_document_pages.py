"""The pages of runs that are no audits show what their documents hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.models import load_model
from analysis.tuning import ExpertLora, export_adapter
from backend.services import ModelInfo, NewRun, RunDocument, RunInfo, Services
from tests.backend.factories import make_csv
from tests.backend.small_documents import small_document
from tests.backend.tune_document import make_tune_document

Show = Callable[..., str]
Finish = Callable[..., RunInfo]
PARAMETERS = {"mask": {"experts": "0:1,2:4"}, "tune": {"experts": "0:1,2:4"}}


@pytest.fixture
def finish(services: Services, model: ModelInfo) -> Finish:
    """A finished run of a kind with its document."""

    def make(kind: str, document: dict[str, Any] | None = None) -> RunInfo:
        prompts = services.prompt_sets.create(make_csv(pairs=10), "enough.csv")
        asked = NewRun(model.id, prompts.id, kind, "quick", parameters=PARAMETERS.get(kind, {}))  # type: ignore[arg-type]
        run = services.runs.mark_running(services.runs.create(asked).id)
        return services.runs.finish(run.id, RunDocument(document or small_document(kind)))

    return make


@pytest.mark.parametrize("kind", ["trace", "mask", "detect", "tune"])
def test_every_kind_has_a_page_with_the_frame(show: Show, finish: Finish, kind: str) -> None:
    run = finish(kind)
    page = show(f"/ui/runs/{run.id}")
    for part in ("Breadcrumbs", "Copy link", "Capture exact", "Made with", "What this does not show", run.name):
        assert part in page
    assert "Views of this run" not in page
    assert f"/api/v1/runs/{run.id}/{'detector' if kind == 'detect' else kind}.json?download=true" in page


@pytest.mark.parametrize("tab", ["routing", "topics", "experts", "experts/0/1", "interventions"])
def test_an_audits_tabs_are_not_there(show: Show, finish: Finish, tab: str) -> None:
    assert "has none of an audit's results" in show(f"/ui/runs/{finish('mask').id}/{tab}")


def test_a_mask_shows_rates_before_and_after_and_its_controls(show: Show, finish: Finish) -> None:
    page = show(f"/ui/runs/{finish('mask').id}")
    assert "Refusal of harmful prompts" in page
    assert "Against random sets like them" in page
    assert "2 random sets" in page
    assert "Their output becomes 0; routing stays as it is." in page
    assert "L0·E1" in page


def test_a_mask_that_broke_the_model_says_so(show: Show, finish: Finish) -> None:
    whole = small_document("mask")
    guard = {**whole["guard"], "passed": False, "faults": ["broken answers rise by 60 points (at most 5 allowed)"]}
    verdict = {"given": False, "lowers_refusal": None, "sentence": "No verdict: the mask damages the model."}
    page = show(f"/ui/runs/{finish('mask', {**whole, 'guard': guard, 'verdict': verdict}).id}")
    assert "No verdict: the mask damages the model" in page
    assert "broken answers rise by 60 points" in page


def test_a_mask_of_what_is_decoded_has_no_margin_and_says_why(show: Show, finish: Finish) -> None:
    whole = small_document("mask")
    reason = {"what": "margin", "why": "a mask on what is decoded cannot move the first token"}
    guard = {**whole["guard"], "benign_kl": None, "passed": None, "not_measured": reason["why"]}
    page = show(f"/ui/runs/{finish('mask', {**whole, 'margin': None, 'withheld': [reason], 'guard': guard}).id}")
    assert "Margin lost" not in page
    assert "Refusal margin: withheld" in page


def test_a_detector_stands_beside_its_baselines(show: Show, finish: Finish) -> None:
    page = show(f"/ui/runs/{finish('detect').id}")
    for part in ("On topics that it was not trained on", "words of the prompt", "layers' inputs", "Topic by topic"):
        assert part in page
    assert "no longer in the data folder" in page


def test_a_trace_shows_its_load_and_its_layers(show: Show, finish: Finish) -> None:
    page = show(f"/ui/runs/{finish('trace').id}")
    for part in (
        "Which experts are used",
        "Topic against harm, layer by layer",
        "Busiest experts",
        "Exact: 4/4 layers",
    ):
        assert part in page


def test_a_tuning_stands_among_its_controls(show: Show, finish: Finish) -> None:
    run = finish("tune")
    page = show(f"/ui/runs/{run.id}/tuning")
    assert page == show(f"/ui/runs/{run.id}")
    for part in (
        "Tuning success alone localises nothing",
        "Random sets of the last layer",
        "3 of 3",
        "2 of 10",
        "0.077 %",
        "the loss was not a number at step 3",
        "Drift of routing against effect",
        "The routers do not move.",
    ):
        assert part in page
    assert "never left memory" not in page


def test_a_stress_run_offers_no_adapter_and_names_its_record(show: Show, finish: Finish) -> None:
    page = show(f"/ui/runs/{finish('tune', make_tune_document('stress')).id}")
    assert "a stress update stays in memory" in page
    assert "local as admin, record 17 of the audit log" in page
    assert "adapter.zip" not in page


def test_a_run_on_its_way_shows_the_stages_of_its_kind(show: Show, services: Services, model: ModelInfo) -> None:
    prompts = services.prompt_sets.create(make_csv(), "requests.csv")
    asked = NewRun(model.id, prompts.id, "mask", "quick", parameters={"experts": "0:1"})
    run = services.runs.mark_running(services.runs.create(asked).id)
    services.runs.report_progress(run.id, "margins", 1, 4)
    page = show(f"/ui/runs/{run.id}")
    assert "Mask of L0·E1: tiny-qwen on 12 prompts" in page
    assert page.count("Masking these experts and random ones like them") == 2
    assert "Testing against matched controls" not in page


def test_the_list_shows_kinds_and_narrows_to_one(show: Show, finish: Finish, done: RunInfo) -> None:
    masked = finish("mask")
    page = show("/ui/runs")
    assert "Latest audit" in page
    assert page.index(masked.name) > page.index("Latest audit")
    only = show("/ui/runs", "?kind=mask&status=done")
    assert "1 mask run done" in only
    assert masked.name in only
    assert done.name not in only
    assert "unknown kind 'lost'" in show("/ui/runs", "?kind=lost")


def test_an_audit_leads_to_masking_and_tuning_what_it_flagged(show: Show, done: RunInfo) -> None:
    for page in (show(f"/ui/runs/{done.id}"), show(f"/ui/runs/{done.id}/experts")):
        assert "Mask these experts" in page
        assert "Tune these experts" in page
        assert f"experts_from={done.id}" in page
    one = show(f"/ui/runs/{done.id}/experts/2/5")
    assert "Mask this expert" in one
    assert "experts=2%3A5" in one


def test_an_audit_that_flags_nothing_offers_nothing(show: Show, nothing_found: RunInfo) -> None:
    assert "Mask these experts" not in show(f"/ui/runs/{nothing_found.id}")


def test_the_inspector_shows_what_an_adapter_touches(
    call: Callable[..., dict[str, Any]], services: Services, model: ModelInfo, tmp_path: Path
) -> None:
    loaded = load_model(model.ref, device="cpu")
    lora = ExpertLora(loaded, [(0, 3)], rank=1)
    for parameter in lora.parameters():
        parameter.data.fill_(0.1)
    folder = export_adapter(lora, loaded, tmp_path / "adapter")

    def look(where: str) -> str:
        values = {"adapter-inspect.n_clicks": 1, "adapter-folder.value": where}
        return str(call("adapter-found.children", values, "adapter-inspect.n_clicks"))

    shown = look(str(folder))
    assert "L0·E3" in shown
    assert "The routers do not move." in shown
    assert "field-error" in look(str(tmp_path / "missing"))
    assert "adapter is empty" in look("")


def test_a_tuning_says_first_what_it_did_and_whether_to_rely_on_it(show: Show, finish: Finish) -> None:
    page = show(f"/ui/runs/{finish('tune').id}")
    head = page.split("Before and after, on prompts that were not tuned on")[0]
    assert '"10 % → 97 %"' in head
    assert '"2 of 10"' in head
    assert '"yes"' in head
    failed = {**make_tune_document(), "guard": {"passed": False, "faults": ["benign answers moved too far"]}}
    assert '"no"' in show(f"/ui/runs/{finish('tune', failed).id}").split("Before and after")[0]


def test_a_tuning_counts_its_answers_by_label(show: Show, finish: Finish) -> None:
    page = show(f"/ui/runs/{finish('tune').id}")
    assert "Answers by label" in page
    assert "1 of 1 answered otherwise" in page
    older = {name: value for name, value in make_tune_document().items() if name != "answers"}
    assert "Answers by label" not in show(f"/ui/runs/{finish('tune', older).id}")


def test_a_trace_says_what_drives_each_layer(show: Show, finish: Finish) -> None:
    page = show(f"/ui/runs/{finish('trace').id}")
    assert '"Driven by"' in page
    assert '"data-layer":"0"' in page.replace("\\", "")
