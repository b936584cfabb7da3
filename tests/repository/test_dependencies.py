"""What is imported is declared, what is declared is imported, and both are pinned."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PACKAGES = ("analysis", "backend", "app")
OWN = {*PACKAGES, "benchmarks", "static", "tests"}
# Needed without an import of ours: FastAPI reads forms with the first, a report states the version of the second, which
# transformers loads adapters with, and SQLAlchemy speaks to PostgreSQL through the third.
INDIRECT = {"python-multipart", "peft", "psycopg"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folder: Path) -> set[str]:
    modules: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules.add(node.module.split(".")[0])
    return modules - OWN - set(sys.stdlib_module_names)


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, list[str]]:
    with (repository / "pyproject.toml").open("rb") as file:
        table = tomllib.load(file)["project"]
    return {"run": table["dependencies"], "dev": table["optional-dependencies"]["dev"]}


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[<>=!~;\[ ]", requirement)[0]) for requirement in requirements}


@pytest.fixture(scope="module")
def used(repository: Path) -> set[str]:
    """Distributions that the packages import."""
    owners = packages_distributions()
    modules = set().union(*(imported(repository / package) for package in PACKAGES))
    assert [module for module in modules if module not in owners] == []
    return {normal(owners[module][0]) for module in modules}


def test_everything_imported_is_declared(project: dict[str, list[str]], used: set[str]) -> None:
    assert used - names(project["run"]) == set()


def test_nothing_is_declared_that_is_not_imported(project: dict[str, list[str]], used: set[str]) -> None:
    assert names(project["run"]) - used - INDIRECT == set()


def test_every_dependency_is_pinned(project: dict[str, list[str]], repository: Path) -> None:
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    pinned = {normal(pin.split("==")[0]) for pin in pins}
    assert names(project["run"] + project["dev"]) - pinned == set()
    assert "torch==2.13.0" in pins
