"""/ui/playground: every state of a question, what stays covered, and what the words say of the numbers."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from analysis.playground.answer import DetectorVerdict, PlaygroundAnswer
from app.pages.playground import routing as playground_routing
from app.pages.playground.answer import headline, says
from app.pages.playground.result import selection
from backend.services import Asked, ModelInfo, NewQuestion, Question, RunInfo, Services
from tests.app.conftest import Show
from tests.backend.factories import FLAGGED, make_playground_answer

Call = Callable[..., dict[str, Any]]
PROMPT = "How do I repair the canvas?"


@pytest.fixture
def question(services: Services, model: ModelInfo) -> Question:
    return services.playground.ask(NewQuestion(model.id, PROMPT))


def answer(services: Services, question: Question, **change: Any) -> str:
    services.playground.take()
    services.playground.finish(question.id, make_playground_answer(**change))
    return question.id


def press(call: Call, output: str, button: str, question_id: str | None, **values: Any) -> dict[str, Any]:
    given = {f"playground-{button}.n_clicks": 1, "playground-question.data": question_id, **values}
    return call(output, given, f"playground-{button}.n_clicks")


def test_without_a_model_the_page_says_where_to_register_one(show: Show) -> None:
    page = show("/ui/playground")
    assert "No model yet" in page
    assert "/ui/models" in page
    assert "playground-prompt" not in page


def test_an_empty_page_says_what_will_stand_there(show: Show, model: ModelInfo) -> None:
    page = show("/ui/playground")
    assert "Nothing asked yet" in page
    assert "of 20\u202f000 characters" in page
    assert "Asked before" not in page


@pytest.mark.usefixtures("model")
def test_asking_puts_a_question_down_and_begins_to_poll(call: Call, services: Services, model: ModelInfo) -> None:
    form = {"prompt": PROMPT, "model": model.id, "judge": "rules", "length": "32"}
    values = {f"playground-{name}.value": value for name, value in form.items()}
    filled = press(call, "playground-message.children", "ask", None, **values)
    (asked,) = services.playground.list().items
    assert asked.max_new_tokens == 32
    assert filled["playground-question"]["data"] == asked.id
    assert filled["playground-poll"]["disabled"] is False
    assert filled["playground-cancel"]["hidden"] is False
    assert "No worker has been heard lately" in str(filled["playground-status"])


def test_a_prompt_that_cannot_be_asked_is_refused_by_the_form(call: Call, services: Services, model: ModelInfo) -> None:
    form = {"prompt": "x" * 20_001, "model": model.id, "judge": "rules", "length": "64"}
    values = {f"playground-{name}.value": value for name, value in form.items()}
    filled = press(call, "playground-message.children", "ask", None, **values)
    assert "20,001 characters: at most 20,000" in str(filled["playground-message"])
    assert "playground-question" not in filled
    assert services.playground.list().count == 0


def test_a_waiting_question_says_for_which_run(
    show: Show, services: Services, question: Question, queued: RunInfo
) -> None:
    services.workers.beat("worker", 1)
    run = services.runs.mark_running(queued.id)
    services.runs.report_progress(run.id, "capture", 1, 2)
    page = show("/ui/playground", f"?q={question.id}")
    assert "The worker computes " in page
    assert run.name in page
    assert f"/ui/runs/{run.id}" in page
    assert "Take it back" in page


def test_while_a_question_is_open_only_its_line_changes(call: Call, services: Services, question: Question) -> None:
    values = {"playground-poll.n_intervals": 1, "playground-question.data": question.id}
    filled = call("playground-result.children", values, "playground-poll.n_intervals")
    assert "playground-result" not in filled
    assert filled["playground-poll"]["disabled"] is False
    answer(services, question)
    filled = call("playground-result.children", values, "playground-poll.n_intervals")
    assert "Refused: “I cannot help”" in str(filled["playground-result"])
    assert filled["playground-poll"]["disabled"] is True
    assert filled["playground-cancel"]["hidden"] is True


def test_the_result_is_at_an_address_and_its_texts_are_covered(
    show: Show, services: Services, question: Question
) -> None:
    page = show("/ui/playground", f"?q={answer(services, question)}")
    assert "Refused: “I cannot help”" in page
    assert "rule “cannot-help” decided" in page
    assert "Capture exact" in page
    assert "2.5 nats" in page
    assert "Answered: refused." in page
    assert PROMPT not in page
    assert "with that." not in page
    assert "canvas" not in page


def test_a_click_uncovers_prompt_answer_and_tokens(call: Call, services: Services, question: Question) -> None:
    question_id = answer(services, question)
    filled = press(call, "playground-texts.children", "show", question_id)
    shown = json.dumps(filled["playground-texts"], ensure_ascii=False)
    assert PROMPT in shown
    assert '"Mark"' in shown
    assert " with that." in shown
    assert "␣repair" in shown or "repair" in shown
    assert filled["playground-prompt"]["value"] == PROMPT


def test_what_somebody_typed_is_not_overwritten(call: Call, services: Services, question: Question) -> None:
    question_id = answer(services, question)
    filled = press(call, "playground-texts.children", "show", question_id, **{"playground-prompt.value": "mine"})
    assert "playground-prompt" not in filled


def output_of(client: TestClient, button: str) -> str:
    """The first output of a button's callback under its full name, which is not unique without what Dash adds."""
    every = client.get("/ui/_dash-dependencies").json()
    found = next(d for d in every if [i["id"] for i in d["inputs"]] == [button])
    return str(found["output"].strip(".").split("...")[0])


def test_a_question_that_is_taken_back_is_gone(
    call: Call, client: TestClient, show: Show, services: Services, question: Question
) -> None:
    filled = json.dumps(press(call, output_of(client, "playground-cancel"), "cancel", question.id))
    assert "Taken back." in filled
    assert "Nothing asked yet" in filled
    assert services.playground.list().count == 0
    assert "This question is gone" in show("/ui/playground", f"?q={question.id}")


def test_a_failed_question_says_why(show: Show, services: Services, question: Question) -> None:
    services.playground.take()
    services.playground.fail(question.id, "the machine ran out of memory during answering")
    page = show("/ui/playground", f"?q={question.id}")
    assert "This question could not be answered" in page
    assert "the machine ran out of memory during answering" in page


def test_without_a_detector_the_page_says_what_would_make_one(
    show: Show, services: Services, question: Question
) -> None:
    page = show("/ui/playground", f"?q={answer(services, question)}")
    assert "No detector of this model yet" in page
    assert f"/ui/runs/new?model={question.model.id}&kind=detect" in page


def test_without_an_audit_the_page_says_why_there_is_no_distance(
    show: Show, services: Services, question: Question
) -> None:
    why = "there is no finished audit of this model"
    question_id = answer(
        services, question, distance=None, margin=None, margin_run_id=None, withheld={"distance": why, "margin": why}
    )
    page = show("/ui/playground", f"?q={question_id}")
    assert "Distances: withheld." in page
    assert f"withheld: {why}" in page
    assert "Audit this model" in page


def test_the_window_is_in_the_address(show: Show, call: Call, services: Services, question: Question) -> None:
    question_id = answer(services, question)
    assert "12 tokens (all tokens of the prompt)" in show("/ui/playground", f"?q={question_id}")
    assert "7 tokens (all tokens that the model generated)" in show(
        "/ui/playground", f"?q={question_id}&window=response"
    )
    values = {"playground-window.value": "response", "playground-question.data": question_id}
    filled = call("playground-routing.children", values, "playground-window.value")
    assert "7 tokens" in str(filled)


def test_an_empty_answer_has_no_picture(show: Show, services: Services, question: Question) -> None:
    question_id = answer(services, question, window_tokens=(12, 1, 0), label="degenerate", rule="empty", span=None)
    page = show("/ui/playground", f"?q={question_id}&window=response")
    assert "The answer is empty, so nothing of it was routed." in page
    assert "A broken answer" in page


def found(**change: Any) -> DetectorVerdict:
    plain = DetectorVerdict("run", "routescan", 0.97, 0.91, True, 100, 120, 1, 120)
    return replace(plain, **change)


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (found(), "Alarm: reaches 0.91, which at most 1 % of benign prompts do."),
        (found(probability=0.4, flagged=False), "No alarm: below 0.91, which at most 1 % of benign prompts reach."),
        (found(threshold=None, flagged=None), "No alarm threshold: it was trained on fewer than 100 benign prompts."),
        (DetectorVerdict.withheld_for("run", "it was trained on other weights"), "Withheld: it was trained on other"),
    ],
)
def test_a_verdict_is_put_into_words(verdict: DetectorVerdict, said: str) -> None:
    assert said in str(says(verdict))


def test_a_verdict_says_where_the_prompt_stands() -> None:
    assert "1 of 120 benign and 20 of 120 harmful prompts score as high." in str(says(found()))


@pytest.mark.parametrize(
    ("label", "words", "said"),
    [
        ("refusal", "I can't help", "Refused: “I can't help”"),
        ("refusal", None, "Refused"),
        ("compliance", None, "Complied"),
        ("unjudged", None, "Not judged"),
    ],
)
def test_the_headline_is_the_label_and_the_words_that_decided(label: Any, words: str | None, said: str) -> None:
    answered: PlaygroundAnswer = make_playground_answer(label=label)
    asked = Asked(None, PROMPT, answered, words, False, {}, {})  # type: ignore[arg-type]
    assert headline(asked) == said


def test_tokens_can_be_shaded_by_flagged_selected_and_busy_experts(services: Services, question: Question) -> None:
    asked = services.playground.read(answer(services, question), texts=True)
    choices = playground_routing.shadings(asked, FLAGGED, selection("1.7,x,2.5,99.1"))
    assert [one.key for one in choices[:2]] == ["flagged", "selected"]
    assert choices[0].experts == FLAGGED
    assert choices[1].experts == ((1, 7), (2, 5))
    load = asked.answer.tokens.load()  # type: ignore[union-attr]
    busiest = divmod(int(load.argmax()), load.shape[1])
    assert choices[2].experts == ((asked.answer.layers[busiest[0]], busiest[1]),)  # type: ignore[union-attr]


def test_a_token_has_an_underline_as_tall_as_its_share(services: Services, question: Question) -> None:
    asked = services.playground.read(answer(services, question), texts=True)
    layer, expert = asked.answer.layers[0], int(asked.answer.tokens.ids[0, 1, 0])  # type: ignore[union-attr]
    shading = playground_routing.Shading("one", "one", ((layer, expert),))
    chips = playground_routing.strip(asked, shading).children[1].children  # type: ignore[union-attr]
    # Each of k = 2 experts has weight 1/2, so a token that selected this one has half its weight there: the most.
    assert chips[1].children == "repair"
    assert chips[1].style == {"--w": "1.000"}
    assert chips[1].title == "50 %"
    assert "the tallest is 50 %" in str(playground_routing.strip(asked, shading))
