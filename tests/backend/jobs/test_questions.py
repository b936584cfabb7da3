"""The worker's part of the playground: questions between runs, on a real model; what a kill and a mistake leave."""

import signal
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from analysis.organisms import organism_path
from analysis.prompts import load_prompts
from analysis.shards import FolderShards
from backend.jobs.questions import Questions
from backend.jobs.run_job import RunJob
from backend.jobs.warm_model import WarmModel
from backend.services import NewQuestion, NewRun, Question, Services
from backend.settings import Settings
from tests.backend.jobs.test_worker import PROMPTS, worker

ORGANISM = "organism:planted"
HARMFUL, BENIGN = (
    next(prompt.text for prompt in load_prompts("builtin:organism") if prompt.label == label)
    for label in ("harmful", "benign")
)


@pytest.fixture
def questions(services: Services) -> Questions:
    return Questions(services, WarmModel())


def ask(services: Services, prompt: str = HARMFUL, **own: Any) -> Question:
    return services.playground.ask(NewQuestion(ORGANISM, prompt, **own))


def answer(services: Services, questions: Questions, question: Question) -> Question:
    taken = services.playground.take()
    assert taken is not None
    assert taken.question.id == question.id
    questions.answer(taken)
    return services.playground.get(question.id)


def test_a_harmful_prompt_is_refused_and_a_benign_one_is_not(services: Services, questions: Questions) -> None:
    labels = [answer(services, questions, ask(services, prompt)).label for prompt in (HARMFUL, BENIGN)]
    assert labels == ["refusal", "compliance"]


def test_a_question_is_held_against_the_runs_that_there_are(services: Services, questions: Questions) -> None:
    lines = (organism_path("planted") / "prompts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    few = services.prompt_sets.create("".join(lines[: PROMPTS + 1]).encode(), "few.csv").id
    run = services.runs.create(NewRun(ORGANISM, few, "detect", "quick", parameters={"detector": "router_logits"}))
    assert (
        RunJob(services).perform(
            services.runs.mark_running(run.id), FolderShards(services.settings.run_dir(run.id) / "shards")
        )
        == "done"
    )
    asked = services.playground.read(answer(services, questions, ask(services)).id)
    assert asked.answer is not None
    (verdict,) = asked.answer.detectors
    assert (verdict.run_id, verdict.name, verdict.withheld) == (run.id, "router_logits", None)
    assert verdict.harmful == verdict.benign == PROMPTS // 2
    assert 0 <= verdict.probability <= 1
    assert asked.runs == {run.id: run.name}
    quality, row = asked.quality[run.id], services.documents.get(run.id)["evaluation"]
    assert quality.auroc == row[quality.scheme]["rows"][0]["auroc"]
    assert asked.answer.withheld["distance"] == "there is no finished audit of this model"


def test_what_goes_wrong_is_the_questions_reason(
    services: Services, questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_args: object, **_own: object) -> NoReturn:
        raise MemoryError(f"while answering {HARMFUL}")

    monkeypatch.setattr("backend.jobs.questions.answer_prompt", no_memory)
    failed = answer(services, questions, ask(services))
    assert failed.status == "failed"
    assert failed.error == (
        "the machine ran out of memory during loading the model: choose a smaller preset or a smaller model"
    )


def test_a_prompt_that_the_model_cannot_take_fails_in_words(services: Services, questions: Questions) -> None:
    failed = answer(services, questions, ask(services, "word " * 3_000))
    assert failed.status == "failed"
    assert "tokens: this model takes 1 to" in str(failed.error)
    assert "word word" not in str(failed.error)


def test_an_answer_that_nobody_waits_for_is_dropped(services: Services, questions: Questions) -> None:
    question = ask(services)
    taken = services.playground.take()
    assert taken is not None
    services.playground.remove(question.id)
    questions.answer(taken)
    assert services.playground.list().count == 0


def test_one_question_at_a_time(services: Services, questions: Questions, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(Questions, "answer", lambda _self, _taken: go.wait(30))
    assert questions.start() is False
    ask(services)
    assert questions.start() is True
    assert questions.busy()
    go.set()
    assert questions._thread is not None
    questions._thread.join()
    assert not questions.busy()


@pytest.fixture
def status(services: Services) -> Callable[[str], str]:
    return lambda question_id: services.playground.get(question_id).status


def test_questions_go_before_waiting_runs_and_survive_a_kill(
    settings: Settings, services: Services, status: Callable[[str], str]
) -> None:
    lines = (organism_path("planted") / "prompts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    few = services.prompt_sets.create("".join(lines[: PROMPTS + 1]).encode(), "few.csv").id
    run = services.runs.create(NewRun(ORGANISM, few, "trace", "quick", parameters={"max_new_tokens": 0}))
    question = ask(services, max_new_tokens=512)
    with worker(settings) as first:
        first.wait_until(lambda: status(question.id) != "queued", "the question is taken up")
        first.end(signal.SIGKILL)
    assert services.runs.get(run.id).status == "queued"
    killed = status(question.id)
    assert killed in ("running", "done")
    with worker(settings) as second:
        second.wait_until(lambda: status(question.id) == "done", "the question is answered")
        second.wait_until(lambda: services.runs.get(run.id).status == "done", "the run has ended")
        assert second.end(signal.SIGTERM) == 0
    done, ended = services.playground.get(question.id), services.runs.get(run.id)
    assert done.attempts == (2 if killed == "running" else 1)
    assert done.finished is not None
    assert ended.started is not None
    assert done.finished <= ended.started
    assert not any(HARMFUL in line or "can't help" in line for line in first.lines + second.lines)
