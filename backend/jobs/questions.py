"""Answers the playground's questions, between two runs, in a thread of its own while the worker's loop beats on.

A question needs the same memory as a run, so the loop starts one only where no run computes, and no run while one is
being answered. A worker that is killed leaves its question behind as running; the next look at the queue puts it back.
"""

import threading

import structlog

from analysis.errors import ExpertScopeError
from analysis.outcomes.judges import load_judge
from analysis.playground.asking import Stage, answer_prompt
from backend import logs
from backend.jobs.failures import explain
from backend.jobs.warm_model import WarmModel
from backend.services import Question, Services, Taken
from backend.threads import use_threads

log = structlog.get_logger(__name__)

STAGES = {
    "load": "loading the model",
    "answer": "answering",
    "judge": "judging the answer",
    "margin": "measuring the refusal margin",
    "distance": "comparing with the audit",
    "detectors": "asking the detectors",
}


class QuestionTakenBackError(Exception):
    """Nobody waits for the answer any more; raised between two stages."""


class Questions:
    """At most one question at a time, with the model that runs keep warm."""

    def __init__(self, services: Services, model: WarmModel, worker_id: str | None = None) -> None:
        self._worker_id = worker_id
        self._services = services
        self._playground = services.playground
        self._redact = logs.redactor(services.settings)
        self._model = model
        self._thread: threading.Thread | None = None

    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> bool:
        """Begin to answer the question that has waited longest; False where there is none. Call it while not busy."""
        taken = self._playground.take(self._worker_id)
        if taken is None:
            return False
        self._thread = threading.Thread(target=self.answer, args=(taken,), name="question", daemon=True)
        self._thread.start()
        return True

    def answer(self, taken: Taken) -> None:
        """Answer one question and keep what was found, or why there is nothing."""
        question, stage = taken.question, "load"

        def reached(name: str) -> None:
            nonlocal stage
            stage = name
            if not self._playground.wanted(question.id, question.attempts):
                raise QuestionTakenBackError

        with logs.bound(question_id=question.id):
            log.info("question taken up", model=question.model.ref, attempt=question.attempts)
            try:
                self._answer(taken, reached)
            except QuestionTakenBackError:
                log.info("question was taken back", stage=stage)
            except Exception as error:
                self._fail(question, error, STAGES[stage])

    def _answer(self, taken: Taken, reached: Stage) -> None:
        question, settings = taken.question, self._services.settings
        reached("load")
        model = self._model.get(question.model.ref, question.model.revision, settings.device)
        use_threads(model.description.parameters, settings.worker_threads)
        answer = answer_prompt(
            model,
            taken.prompt,
            load_judge(question.judge),
            max_new_tokens=question.max_new_tokens,
            references=self._playground.references(question.model.id),
            stage=reached,
        )
        kept = self._playground.finish(question.id, answer, question.attempts)
        log.info("question answered" if kept else "question was taken back", label=answer.label)

    def _fail(self, question: Question, error: Exception, stage: str) -> None:
        message = explain(error, stage, self._redact)
        log.error("question failed", reason=message, exc_info=not isinstance(error, ExpertScopeError))
        error.__traceback__ = None  # its frames keep activations alive
        self._model.drop()
        self._playground.fail(question.id, message, question.attempts)
