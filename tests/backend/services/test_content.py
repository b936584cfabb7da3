"""What may leave the server is decided in one place, by two settings."""

from pathlib import Path

from backend.services import Content, PromptFilter, open_services
from backend.settings import Settings
from tests.backend.factories import make_csv


def content(tmp_path: Path, **hidden: bool) -> Content:
    return Content(Settings(data_dir=tmp_path, **hidden))


def test_everything_is_shown_unless_it_is_hidden(tmp_path: Path) -> None:
    shown = content(tmp_path)
    assert (shown.prompt("p"), shown.completion("c")) == ("p", "c")


def test_prompts_and_answers_are_hidden_apart(tmp_path: Path) -> None:
    prompts, answers = content(tmp_path, hide_prompts=True), content(tmp_path, hide_completions=True)
    assert (prompts.prompt("p"), prompts.completion("c")) == (None, "c")
    assert (answers.prompt("p"), answers.completion("c")) == ("p", None)


def test_a_search_does_not_give_a_hidden_text_away(tmp_path: Path) -> None:
    for hide, found in ((False, 6), (True, 0)):
        services = open_services(Settings(data_dir=tmp_path / "data", hide_prompts=hide))
        stored = services.prompt_sets.create(make_csv(), "requests.csv")
        assert services.prompt_sets.count(stored.id, PromptFilter(search="harmful REQUEST")) == found
        assert services.prompt_sets.count(stored.id, PromptFilter(search="h3")) == 1
        services.close()
