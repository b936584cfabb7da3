"""Pages draw what a service found: nothing here estimates, tests or averages."""

import ast
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "app").rglob("*.py"))
LAYOUT = """
abs arange argsort array asarray ascontiguousarray concatenate fill_diagonal flatnonzero float32 float64 floor
histogram2d
int64 integer intp isfinite isnan ix_ log1p nan nan_to_num nanmax nanmin ndarray partition setdiff1d take_along_axis
unique
unravel_index where zeros
"""
DRAWING = set(LAYOUT.split())
"""What of numpy lays out numbers that are there: types, order, shape, scale and density of a drawing."""
SCIENCE = {"analysis", "scipy", "sklearn", "statistics", "torch", "transformers", "pandas", "random"}
STORAGE = {"sqlalchemy", "backend.db", "backend.jobs", "backend.api"}


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[path.parts.index("app") :]))
def test_a_view_neither_computes_nor_reads_the_database(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {name for name in imported(tree) if name.split(".")[0] in SCIENCE}
    assert not found
    assert not {name for name in imported(tree) if ".".join(name.split(".")[:2]) in STORAGE or name in STORAGE}
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
    }
    assert used <= DRAWING, f"{path.name} computes with numpy: {sorted(used - DRAWING)}"
