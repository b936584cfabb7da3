"""Whatever can be set or typed is documented, and what is documented exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from backend.cli import app
from backend.settings import Settings

COMMANDS = typer.main.get_command(app)


def leaves(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    """Every command that does something, by the words that a person types."""
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(path), command
        return
    for name, child in children.items():
        yield from leaves(child, (*path, name))


LEAVES = dict(leaves(COMMANDS))


@pytest.fixture(scope="module")
def sections(repository: Path) -> dict[str, str]:
    """The text below each heading of docs/cli.md."""
    parts = re.split(r"^## (.+)$", (repository / "docs" / "cli.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options(command: object) -> set[str]:
    shown = [option for option in command.params if not getattr(option, "hidden", False)]
    return {name for option in shown for name in option.opts if name.startswith("--")} - {"--help"}


def test_every_setting_is_documented_with_its_description(repository: Path) -> None:
    text = (repository / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `EXPERTSCOPE_(\w+)` \| [^|]* \| (.*) \|$", text, re.MULTILINE))
    assert rows == {name.upper(): field.description for name, field in Settings.model_fields.items()}


def test_every_command_has_a_section_and_no_section_is_left_over(sections: dict[str, str]) -> None:
    assert set(sections) == set(LEAVES)


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_is_documented(name: str, sections: dict[str, str]) -> None:
    documented = set(re.findall(r"--[a-z][a-z-]*", sections[name]))
    assert options(LEAVES[name]) <= documented


@pytest.mark.parametrize("name", LEAVES)
def test_the_usage_line_names_no_option_that_does_not_exist(name: str, sections: dict[str, str]) -> None:
    usage = re.search(rf"`expertscope {name}[^`]*`", sections[name])
    assert usage is not None
    assert set(re.findall(r"--[a-z][a-z-]*", usage[0])) <= options(LEAVES[name])


def test_every_command_says_what_it_does() -> None:
    assert all(getattr(command, "help", None) for command in LEAVES.values())


def test_links_between_documents_lead_somewhere(repository: Path) -> None:
    pages = [*repository.glob("*.md"), *(repository / "docs").glob("*.md")]
    links = [
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert links == []


def test_readme_begins_with_the_two_commands_and_a_picture(repository: Path) -> None:
    first_screen = (repository / "README.md").read_text(encoding="utf-8").splitlines()[:16]
    assert any(line.startswith("    make run") for line in first_screen)
    assert any(line.startswith("    make test") for line in first_screen)
    assert any(line.startswith("![") for line in first_screen)
