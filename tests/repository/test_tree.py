"""What the repository must not hold, and what an installed package must."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TEXT = {
    ".py",
    ".md",
    ".toml",
    ".yml",
    ".yaml",
    ".txt",
    ".json",
    ".ipynb",
    ".css",
    ".js",
    ".html",
    ".csv",
    ".cfg",
    ".mako",
    ".svg",
    "",
}
PATHS = re.compile(r"(?<![\w.])/(?:home(?!/someone)|root|Users|work|workspace|mnt|opt/(?!expertscope))(?:/[\w.-]+)+")
SOURCES = ("analysis", "backend", "app", "static", "docs", "tests", "benchmarks", ".ci")


def tracked(repository: Path) -> list[Path]:
    """Files that are in the repository or would go in with the next commit."""
    command = ["git", "-C", str(repository), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git working tree")
    return [path for name in listed.stdout.split("\0") if name and (path := repository / name).is_file()]


def test_no_path_of_a_machine(repository: Path) -> None:
    found = [
        f"{path.relative_to(repository)}: {match[0]}"
        for path in tracked(repository)
        if path.suffix in TEXT and path != Path(__file__)
        for match in PATHS.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_no_pickled_weights_and_nothing_huge(repository: Path) -> None:
    files = tracked(repository)
    assert [path.name for path in files if path.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}] == []
    assert [path.name for path in files if path.stat().st_size > 7_000_000] == []


def test_model_weights_are_at_most_six_megabytes_each(repository: Path) -> None:
    weights = [path for path in tracked(repository) if path.suffix == ".safetensors"]
    assert weights
    assert [path.name for path in weights if path.stat().st_size > 6_000_000] == []


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a wheel built from the working tree."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_a_wheel_holds_every_file_of_the_packages(repository: Path, wheel: set[str]) -> None:
    packages = ("analysis", "backend", "app", "static")
    names = {str(path.relative_to(repository)) for path in tracked(repository)}
    wanted = {name for name in names if name.split("/")[0] in packages}
    assert wanted - wheel == set()
    assert any(name.endswith(".safetensors") for name in wheel)
    assert not any(name.startswith(("tests/", "docs/")) for name in wheel)
