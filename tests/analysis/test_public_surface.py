"""What `from analysis import …` promises to researchers: all names, lazily, with their types."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import analysis

SOURCE = Path(analysis.__file__)
MODULES = {"errors", "statistics"}


def typed_names() -> dict[str, str]:
    """Public name to module, as a type checker reads them."""
    (block,) = [node for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: str(node.module) for node in imports for alias in node.names}


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=SOURCE.parents[1]
    )
    return done.stdout.strip()


def test_the_list_of_names_is_sorted_and_each_can_be_had() -> None:
    assert len(set(analysis.__all__)) == len(analysis.__all__)
    assert sorted(analysis.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n)) == analysis.__all__
    assert all(getattr(analysis, name) is not None for name in analysis.__all__)
    assert set(analysis.__all__) <= set(dir(analysis))


def test_a_type_checker_sees_what_python_gives() -> None:
    typed = typed_names()
    assert {name: module for name, module in typed.items() if name not in MODULES} == analysis._HOMES
    assert set(typed) == set(analysis.__all__)
    assert SOURCE.with_name("py.typed").is_file()


def test_no_name_is_that_of_a_module_which_would_take_its_place() -> None:
    modules = {
        path.stem for path in SOURCE.parent.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert modules & set(analysis.__all__) == MODULES


@pytest.mark.parametrize("first", ["import analysis.audit", "from analysis import run_audit", "pass"])
def test_a_name_means_the_same_whatever_was_imported_before(first: str) -> None:
    assert run(f"{first}\nfrom analysis import run_audit, statistics, score; print(run_audit.__name__)") == "audit"


def test_importing_it_is_cheap_until_a_model_is_wanted() -> None:
    heavy = "{'numpy', 'scipy', 'torch', 'transformers'}"
    script = f"import sys, analysis; analysis.load_prompts, analysis.Prompt; print(sorted({heavy} & set(sys.modules)))"
    assert run(script) == "[]"


def test_a_name_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="module 'analysis' has no attribute 'capturing'"):
        _ = analysis.capturing


@pytest.mark.parametrize("name", sorted(set(analysis.__all__) - MODULES - {"CRITERIA"}))
def test_every_name_says_what_it_is_for_and_is_in_the_documentation(name: str, repository: Path) -> None:
    assert inspect.getdoc(getattr(analysis, name))
    text = (repository / "docs" / "python.md").read_text(encoding="utf-8")
    assert re.search(rf"\b{name}\b", text)
