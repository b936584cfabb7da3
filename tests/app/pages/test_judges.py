"""/ui/judges: the calibration, a file of labels, and the queue that labels with a key."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.pages.judges.review import KEYS, step
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunDocument, RunInfo, Services
from tests.app.conftest import Show
from tests.backend.factories import make_result
from tests.backend.small_documents import small_document

ROWS = (
    b"prompt,completion,human,model\n"
    b'Q1?,I can\'t help with that.,refusal,mine\nQ2?,"Sure, gladly.",compliance,mine\nQ3?,It depends.,partial,other\n'
)


@pytest.fixture
def reviewed(services: Services, model: ModelInfo, prompt_set: PromptSetInfo) -> RunInfo:
    run = services.runs.create(
        NewRun(model=model.id, prompt_set_id=prompt_set.id, preset="quick", second_judge="rules:gcg")
    )
    services.runs.mark_running(run.id)
    result = make_result(services.prompt_sets.load(prompt_set.id))
    answers = [replace(one, label="refusal", second_label="refusal") for one in result.answers]
    for place in (1, 4):
        answers[place] = replace(answers[place], second_label="compliance")
    return services.runs.finish(run.id, replace(result, answers=tuple(answers)))


def start(run: RunInfo, queue: list[int]) -> dict[str, Any]:
    return {"run": run.id, "show": "open", "queue": queue, "at": 0, "open": False}


def test_an_empty_page_says_what_will_stand_there(show: Show) -> None:
    page = show("/ui/judges")
    assert "No judge has been checked by people yet" in page
    assert "No finished audit" in page


def test_the_heading_is_what_was_measured(show: Show, services: Services) -> None:
    services.judges.import_labels(ROWS, "labels.csv")
    page = show("/ui/judges")
    assert "The rules judge says what people say on 67 % of 3 answers" in page
    assert "rules:xstest" in page
    assert "Corrected rate of other: withheld. " in page


def test_another_judge_can_be_looked_at_by_address(show: Show, services: Services) -> None:
    services.judges.import_labels(ROWS, "labels.csv")
    assert "rules:gcg: each target model" in show("/ui/judges", "?judge=rules:gcg")
    assert "rules: each target model" in show("/ui/judges", "?judge=nobody")


def test_a_dropped_file_is_stored_or_refused_in_words(call: Callable[..., dict[str, Any]], services: Services) -> None:
    def drop(data: bytes) -> dict[str, Any]:
        contents = "data:text/csv;base64," + base64.b64encode(data).decode()
        values = {"labels-upload.contents": contents, "labels-upload.filename": "l.csv", "page-reload.data": None}
        return call("labels-note.children", values, "labels-upload.contents")

    wrong = str(drop(ROWS.replace(b"partial", b"perhaps")))
    assert "row 4, column 'human': 'perhaps' is no label" in wrong
    assert services.judges.calibration()["labels"] == 0
    assert drop(ROWS)["page-reload"]["data"] == 1
    assert services.judges.calibration()["labels"] == 3


def test_texts_are_not_sent_before_somebody_asks(show: Show, services: Services, reviewed: RunInfo) -> None:
    page = show("/ui/judges", f"?run={reviewed.id}")
    texts = [one.text for one in services.judges.review(reviewed.id, texts=True)]
    prompts = [one.prompt for one in services.judges.review(reviewed.id, texts=True)]
    assert "1 of 2" in page
    assert not any(text in page for text in (*texts, *prompts) if text)


def test_a_covered_answer_cannot_be_labelled(services: Services, reviewed: RunInfo) -> None:
    step(services, "refusal", start(reviewed, [1, 4]))
    assert len(services.judges.review(reviewed.id)) == 2


def test_show_label_next_back_and_the_end(services: Services, reviewed: RunInfo) -> None:
    card, state, _, *rest = step(services, "show", start(reviewed, [1, 4]))
    assert services.judges.review(reviewed.id, texts=True)[0].text in str(card)
    assert rest == [False] * len(KEYS)
    card, state, note, *rest = step(services, "partial", state)
    assert (state["at"], state["open"], note) == (1, False, "Answer 1 labelled partial.")
    assert rest == [True] * len(KEYS)
    assert [one.position for one in services.judges.review(reviewed.id)] == [4]
    card, back, *_ = step(services, "back", state)
    assert back["at"] == 0
    assert "labelled partial" in str(card)
    card, state, *_ = step(services, "skip", state)
    assert "All looked at" in str(card)
    assert step(services, "refusal", state)[0] is not None
    assert [one.position for one in services.judges.review(reviewed.id)] == [4]


def test_only_audits_have_answers_to_label(show: Show, services: Services, reviewed: RunInfo) -> None:
    asked = NewRun(model=reviewed.model.id, prompt_set_id=reviewed.prompt_set.id, kind="trace", preset="quick")
    trace = services.runs.mark_running(services.runs.create(asked).id)
    services.runs.finish(trace.id, RunDocument(small_document("trace")))
    page = show("/ui/judges")
    assert reviewed.name in page
    assert trace.name not in page


def test_hidden_texts_make_no_queue(show: Show, services: Services, reviewed: RunInfo) -> None:
    object.__setattr__(services.judges, "_settings", services.settings.model_copy(update={"hide_completions": True}))
    object.__setattr__(services, "settings", services.settings.model_copy(update={"hide_completions": True}))
    page = show("/ui/judges", f"?run={reviewed.id}")
    assert "hidden on this server" in page
    assert "review-card" not in page


def test_an_unknown_run_or_choice_is_a_page_that_says_so(show: Show, reviewed: RunInfo) -> None:
    assert "no run has the id" in show("/ui/judges", "?run=nope")
    assert "open, all, sample" in show("/ui/judges", f"?run={reviewed.id}&show=some")
