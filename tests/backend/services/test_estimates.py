"""What a run will take: scaled from runs that were timed, else from the model's size, and honest about which."""

from typing import Any

import pytest

from backend.services import Ask, Balance, InputError, ModelInfo, NewRun, PromptSetInfo, RunInfo, Services, TopicBalance
from backend.services.estimates import SECONDS_PER_PARAMETER, _scaled, estimated_memory
from backend.services.machine import memory_bytes
from backend.services.measured import MeasuredRun, active_parameters
from backend.services.run_work import PromptSize, work
from tests.backend.factories import make_result

# Two audits of organism:planted on its own 240 prompts, one after the other on the same busy machine.
QUICK = {"capture": 6.0, "forced": 2.7, "criteria": 44.8, "confirmation": 81.7, "controls": 17.3, "answers": 30.5}
STANDARD = {"capture": 11.5, "forced": 4.8, "criteria": 58.5, "confirmation": 145.9, "controls": 161.5, "answers": 44.8}
REST = {"quick": 9.4, "standard": 16.5}
# An audit of organism:confounded on its own 132 prompts, on the same machine.
OTHER = 232.0
SIZE = PromptSize(120, 120, 0, 33.0)


def measured(preset: str, seconds: dict[str, float]) -> MeasuredRun:
    return MeasuredRun(
        run_id="r",
        model_id="m",
        active=610_176,
        device="cpu",
        seconds=seconds,
        work=work("audit", preset, SIZE, {}),
        load=0.3,
        rest=REST[preset],
    )


def balance(harmful: int = 120, benign: int = 120, topics: int = 12) -> Balance:
    one = {"harmful": harmful // topics, "benign": benign // topics, "jailbreak": 0, "unlabelled": 0, "pairs": 0}
    return Balance(tuple(TopicBalance(f"t{i}", **one) for i in range(topics)))


def test_a_deeper_preset_is_foretold_within_a_factor_of_two_of_what_was_measured() -> None:
    foretold = _scaled(measured("quick", QUICK), work("audit", "standard", SIZE, {}), 610_176)
    truth = sum(STANDARD.values()) + REST["standard"]
    assert truth / 2 < foretold < 2 * truth
    back = _scaled(measured("standard", STANDARD), work("audit", "quick", SIZE, {}), 610_176)
    truth = sum(QUICK.values()) + REST["quick"]
    assert truth / 2 < back < 2 * truth


def test_another_small_model_is_foretold_within_a_factor_of_two() -> None:
    todo = work("audit", "quick", PromptSize(66, 66, 0, 33.0), {})
    assert OTHER / 2 < _scaled(measured("quick", QUICK), todo, 620_000) < 2 * OTHER


def test_a_model_of_ten_times_the_active_parameters_takes_ten_times_as_long_but_for_loading() -> None:
    run = MeasuredRun("r", "m", 10_000_000, "cpu", {"total": 50.0}, {"total": 1_000.0}, load=2.0, rest=0.0)
    assert _scaled(run, {"total": 1_000.0}, 100_000_000) == pytest.approx(2 + 500)
    assert _scaled(run, {"total": 3_000.0}, 10_000_000) == pytest.approx(2 + 150)


def test_more_prompts_never_cost_less() -> None:
    for kind in ("audit", "trace", "mask", "detect", "tune"):
        small, large = (sum(work(kind, "full", PromptSize(n, n, 0, 40), {}).values()) for n in (20, 200))  # type: ignore[arg-type]
        assert small < large


def test_a_preset_bounds_the_prompts_that_are_counted() -> None:
    assert work("audit", "quick", PromptSize(60, 60, 0, 40), {}) == work(
        "audit", "quick", PromptSize(900, 900, 0, 40), {}
    )


def test_the_memory_is_weights_batch_and_program() -> None:
    model = {"moe_layers": [0, 1], "dense_layers": [2], "hidden_size": 100, "parameters": 1_000_000}
    # 4 bytes · (1,000,000 + 8,192 tokens · (2·3 + 12) · 100) + 700 MB
    assert estimated_memory(model, "cpu", _standard()) == 4 * (1_000_000 + 8_192 * 18 * 100) + 700_000_000
    assert estimated_memory(model, "cuda", _standard()) == 2 * (1_000_000 + 8_192 * 18 * 100) + 700_000_000


def _standard() -> Any:
    from analysis.audit_settings import AuditSettings

    return AuditSettings()


def test_a_model_that_nobody_ran_is_estimated_by_its_size(services: Services, model: ModelInfo) -> None:
    ask = Ask(model, balance(), 40.0, device="cpu")
    cost = services.estimates.cost(ask)
    assert (cost.basis, cost.runs) == ("size", 0)
    assert cost.seconds == pytest.approx(
        sum(work("audit", "standard", ask.size, {}).values()) * 3_000_000 * SECONDS_PER_PARAMETER, rel=0.01
    )
    assert "may be off by a factor of 5" in cost.basis_text


def test_on_a_gpu_that_nobody_timed_the_time_is_not_known(services: Services, model: ModelInfo) -> None:
    cost = services.estimates.cost(Ask(model, balance(), 40.0, device="cuda"))
    assert cost.seconds is None
    assert "no run of this kind has been timed on a GPU" in cost.basis_text


def test_a_finished_run_of_the_model_is_what_the_next_is_scaled_from(services: Services, queued: RunInfo) -> None:
    run = services.runs.mark_running(queued.id)
    result = make_result(services.prompt_sets.load(run.prompt_set.id))
    result.report["timings"] = {**QUICK, "load": 1.0, "total": 200.0}
    services.runs.finish(run.id, result)
    ask = services.estimates.stored(run.model, run.prompt_set.id, preset=run.preset, device="cpu")
    cost = services.estimates.cost(ask)
    assert (cost.basis, cost.runs, cost.basis_text) == ("same_model", 1, "from 1 earlier run of this model")
    assert cost.seconds == pytest.approx(201.0)  # the same work again, and loading
    other = services.estimates.cost(Ask(_another(run.model), ask.balance, ask.chars, preset=run.preset, device="cpu"))
    assert other.basis == "other_models"


def _another(model: ModelInfo) -> ModelInfo:
    return ModelInfo("x", "x", None, "x", model.family, model.description, model.created)


def test_a_run_that_was_taken_up_twice_is_no_measure(services: Services, queued: RunInfo) -> None:
    services.runs.mark_running(queued.id)
    run = services.runs.mark_running(queued.id)
    services.runs.finish(run.id, make_result(services.prompt_sets.load(run.prompt_set.id)))
    assert services.estimates.cost(Ask(run.model, balance(), 40.0, device="cpu")).basis == "size"


def test_what_a_run_would_be_refused_with_its_estimate_is_refused_with(
    services: Services, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    with pytest.raises(InputError, match="a detector needs at least 10"):
        services.estimates.of(NewRun(model=model.id, prompt_set_id=prompt_set.id, kind="detect"))
    assert services.runs.list().count == 0


def test_the_runs_that_wait_before_it_are_counted(services: Services, queued: RunInfo) -> None:
    estimate = services.estimates.of(NewRun(model=queued.model.id, prompt_set_id=queued.prompt_set.id))
    assert (estimate.waiting, estimate.worker_alive) == (1, False)
    services.workers.beat("w", 1)
    assert services.estimates.of(NewRun(model=queued.model.id, prompt_set_id=queued.prompt_set.id)).worker_alive


def test_an_older_description_is_counted_by_the_share_of_experts_that_is_selected() -> None:
    assert active_parameters({"parameters": 800, "top_k": 2, "experts": 16}) == 100
    assert active_parameters({"parameters": 800, "top_k": 2, "experts": 16, "active_parameters": 300}) == 300


def test_the_smaller_of_machine_and_container_is_the_memory(tmp_path: Any) -> None:
    (tmp_path / "meminfo").write_text("MemFree: 5 kB\nMemTotal:       1000 kB\n")
    (tmp_path / "limit").write_text("max\n")
    assert memory_bytes(tmp_path / "meminfo", (tmp_path / "limit",)) == 1_024_000
    (tmp_path / "limit").write_text("4096\n")
    assert memory_bytes(tmp_path / "meminfo", (tmp_path / "limit", tmp_path / "none")) == 4_096
    assert memory_bytes(tmp_path / "none", ()) is None
