"""Questions: put down, found, taken back and forgotten; taken up by a worker once, and again when that one died."""

from collections.abc import Callable

import pytest

from analysis.errors import ConflictError, InputError, NotFoundError
from analysis.playground.answer import PlaygroundAnswer
from backend.services import ModelInfo, NewQuestion, Playground, Question, RunInfo, Services
from backend.settings import Settings
from tests.backend.factories import make_playground_answer

PROMPT = "How do I repair the canvas?"
Ask = Callable[..., Question]


@pytest.fixture
def playground(services: Services) -> Playground:
    return services.playground


@pytest.fixture
def ask(playground: Playground, model: ModelInfo) -> Ask:
    return lambda prompt=PROMPT, **own: playground.ask(NewQuestion(model.id, prompt, **own))


def answered(playground: Playground, ask: Ask, answer: PlaygroundAnswer | None = None) -> Question:
    question = ask()
    assert playground.take() is not None
    assert playground.finish(question.id, answer or make_playground_answer())
    return playground.get(question.id)


def test_a_question_waits_with_its_text_in_unix_form(playground: Playground, ask: Ask) -> None:
    question = ask("  first line\r\nsecond  \n")
    assert (question.status, question.label, question.attempts) == ("queued", None, 0)
    assert playground.read(question.id).prompt == "first line\nsecond"
    assert playground.read(question.id).answer is None


@pytest.mark.parametrize(
    ("own", "field", "said"),
    [
        ({"prompt": " \n"}, "prompt", "prompt is empty"),
        ({"prompt": "x" * 20_001}, "prompt", "20,001 characters: at most 20,000"),
        ({"prompt": "bell\a"}, "prompt", r"U\+0007"),
        ({"prompt": "half \ud800"}, "prompt", r"U\+D800"),
        ({"judge": "rules:/etc/passwd.yaml"}, "judge", "expected one of rules"),
        ({"max_new_tokens": 0}, "max_new_tokens", "expected 1 to 512"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_field(ask: Ask, own: dict, field: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        ask(**own)
    assert caught.value.field == field


def test_only_so_many_may_wait(ask: Ask) -> None:
    for _ in range(20):
        ask()
    with pytest.raises(ConflictError, match="20 questions wait already"):
        ask()


def test_the_longest_waiting_is_taken_first(playground: Playground, ask: Ask) -> None:
    first, second = ask("first"), ask("second")
    taken = playground.take()
    assert taken is not None
    assert (taken.question.id, taken.prompt, taken.question.status) == (first.id, "first", "running")
    assert playground.finish(first.id, make_playground_answer())
    following = playground.take()
    assert following is not None
    assert following.question.id == second.id


def test_a_question_left_behind_is_taken_again_and_fails_after_three_deaths(playground: Playground, ask: Ask) -> None:
    question = ask()
    for attempt in (1, 2, 3):
        taken = playground.take()
        assert taken is not None
        assert (taken.question.id, taken.question.attempts) == (question.id, attempt)
    assert playground.take() is None
    failed = playground.get(question.id)
    assert failed.status == "failed"
    assert "the worker died 3 times" in str(failed.error)


def test_an_answer_is_kept_and_read_back(playground: Playground, ask: Ask) -> None:
    answer = make_playground_answer()
    done = answered(playground, ask, answer)
    assert (done.status, done.label, done.waiting) == ("done", "refusal", None)
    asked = playground.read(done.id, texts=True)
    assert asked.answer is not None
    assert (asked.answer.text, asked.answer.span, asked.words) == (answer.text, answer.span, "I cannot help")
    assert (asked.answer.frequency == answer.frequency).all()
    assert asked.answer.distance == answer.distance
    assert asked.answer.tokens.tokens == answer.tokens.tokens
    assert (asked.answer.tokens.ids == answer.tokens.ids).all()
    assert asked.answer.detectors == answer.detectors


def test_the_answers_text_is_handed_out_on_request_alone(playground: Playground, ask: Ask) -> None:
    asked = playground.read(answered(playground, ask).id)
    assert asked.answer is not None
    assert (asked.answer.text, asked.answer.span, asked.texts) == ("", None, False)
    assert asked.answer.tokens.tokens == ("<user>", "repair", " it", "<assistant>", *[""] * 7)
    assert asked.answer.label == "refusal"


def test_a_server_that_hides_completions_keeps_the_label(services: Services, ask: Ask, playground: Playground) -> None:
    done = answered(playground, ask)
    settings: Settings = services.settings.model_copy(update={"hide_completions": True})
    hiding = Playground(services.database, settings, services.models, services.workers, playground._references)
    asked = hiding.read(done.id, texts=True)
    assert asked.answer is not None
    assert (asked.answer.text, asked.words, asked.answer.label) == ("", None, "refusal")


def test_a_server_that_hides_prompts_shows_neither_prompt_nor_its_tokens(
    services: Services, ask: Ask, playground: Playground
) -> None:
    done = answered(playground, ask)
    settings: Settings = services.settings.model_copy(update={"hide_prompts": True})
    hiding = Playground(services.database, settings, services.models, services.workers, playground._references)
    asked = hiding.read(done.id, texts=True)
    assert asked.prompt is None
    assert asked.answer is not None
    assert asked.answer.text
    trace = asked.answer.tokens
    assert [text for text, part in zip(trace.tokens, trace.parts, strict=True) if part == "prompt"] == ["", ""]
    assert "repair" not in trace.tokens


def test_what_was_taken_back_is_gone_and_its_answer_is_dropped(playground: Playground, ask: Ask) -> None:
    question = ask()
    playground.take()
    assert playground.wanted(question.id)
    playground.remove(question.id)
    assert not playground.wanted(question.id)
    assert playground.finish(question.id, make_playground_answer()) is False
    assert playground.fail(question.id, "why") is False
    for gone in (playground.get, playground.read, playground.remove):
        with pytest.raises(NotFoundError, match=question.id):
            gone(question.id)


def test_only_the_newest_are_kept_and_open_ones_stay(services: Services, model: ModelInfo) -> None:
    settings = services.settings.model_copy(update={"playground_kept": 3})
    few = Playground(services.database, settings, services.models, services.workers, services.playground._references)

    def ask(prompt: str) -> str:
        return few.ask(NewQuestion(model.id, prompt)).id

    open_one = ask("still open")
    ended = []
    for number in range(3):
        ended.append(ask(f"ended {number}"))
        with services.database.write() as session:
            from backend.db.tables import PlaygroundQuestionRow

            session.get_one(PlaygroundQuestionRow, ended[-1]).status = "done"
    newest = ask("newest")
    assert [one.id for one in few.list().items] == [newest, ended[2], ended[1], open_one]


def test_the_list_says_nothing_of_the_texts(playground: Playground, ask: Ask) -> None:
    answered(playground, ask)
    (listed,) = playground.list().items
    assert PROMPT not in repr(listed)
    assert "cannot help" not in repr(listed)
    assert playground.list(status="done").count == 1
    assert playground.list(status="queued").count == 0
    with pytest.raises(InputError, match="unknown status 'x'"):
        playground.list(status="x")


def test_what_a_question_waits_for(services: Services, playground: Playground, ask: Ask, queued: RunInfo) -> None:
    first = ask()
    assert first.waiting is not None
    assert first.waiting.reason == "worker"
    services.workers.beat("worker", 1)
    assert playground.get(first.id).waiting.reason == "turn"
    second = ask()
    assert (second.waiting.reason, second.waiting.ahead) == ("questions", 1)
    run = services.runs.mark_running(queued.id)
    waiting = playground.get(second.id).waiting
    assert (waiting.reason, waiting.run_id, waiting.run_name, waiting.ahead) == ("run", run.id, run.name, 1)
    assert run.name in waiting.message
    playground.take()
    assert playground.get(first.id).waiting.reason == "answer"


def test_references_are_the_newest_audit_and_the_detectors_of_the_same_model(
    services: Services, model: ModelInfo, done: RunInfo
) -> None:
    found = services.playground.references(model.id)
    assert found.audit is not None
    assert found.audit.run_id == done.id
    assert [prompt.id for prompt in found.audit.prompts] == list(found.audit.counts.prompt_ids)
    assert {answer.variant for answer in found.audit.answers} == {"base"}
    assert found.detectors == []
    assert services.playground.references("someoneelses").audit is None
