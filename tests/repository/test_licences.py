"""Every package that comes along is permissive, or somebody has written down why it may be used."""

import re
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from tests import licences
from tests.licences import DECISIONS, Package, licence_of, normal, packages


@pytest.fixture(scope="module")
def found() -> list[Package]:
    return packages()


def test_a_licence_that_is_not_permissive_has_a_decision(found: list[Package]) -> None:
    assert [(one.name, one.licence) for one in found if not one.permissive and one.name not in DECISIONS] == []


def test_a_decision_that_nothing_needs_any_more_goes(found: list[Package]) -> None:
    assert set(DECISIONS) - {one.name for one in found if not one.permissive} == set()


def test_the_page_has_what_is_installed(repository: Path, found: list[Package]) -> None:
    text = (repository / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\S+) \| (.+) \| (?:runtime|development) \|$", text, re.MULTILINE))
    assert {one.name: one.licence for one in found}.items() <= rows.items(), "run make licences"
    constraints = (repository / "constraints.txt").read_text(encoding="utf-8")
    pinned = {normal(name) for name in re.findall(r"^([\w.-]+)==", constraints, re.MULTILINE)}
    assert set(rows) - pinned == set(), "run make licences"
    for name, reason in DECISIONS.items():
        assert f"- **{name}**: {reason}\n" in text, "run make licences"


def test_what_runs_is_told_from_what_develops(found: list[Package]) -> None:
    needed = {one.name: one.needed for one in found}
    assert (needed["fastapi"], needed["starlette"], needed["pytest"]) == ("runtime", "runtime", "development")
    assert needed["argon2-cffi-bindings"] == "runtime"  # a dependency of a dependency


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True),
        ("MIT AND PSF-2.0", True),
        ("MIT AND LGPL-3.0-only", False),
        ("GPL-3.0-only OR Apache-2.0", True),
        ("GPL-3.0-only", False),
        ("Apache-2.0 AND Apache-2.0 WITH LLVM-exception", True),
        ("MPL-2.0 AND MIT", False),
        ("AGPL-3.0-or-later", False),
        ("Something of our own", False),
        ("unknown", False),
    ],
)
def test_what_counts_as_permissive(licence: str, permissive: bool) -> None:
    assert Package("some", licence, "runtime").permissive is permissive


APPROVED = "Classifier: License :: OSI Approved :: "


class Written(Distribution):
    """A distribution of which there are only metadata."""

    def __init__(self, text: str) -> None:
        self._text = f"Metadata-Version: 2.4\nName: some\nVersion: 1\n{text}"

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT\nLicense: whatever\n", "MIT"),
        (f"{APPROVED}MIT License\n", "MIT"),
        (f"License: BSD-3-Clause\n{APPROVED}BSD License\n", "BSD-3-Clause"),
        ("License: Apache 2.0\n", "Apache-2.0"),
        ("License: UNKNOWN\n", "unknown"),
        ("License: A long text\n  over several lines\n", "unknown"),
        ("", "unknown"),
        (f"{APPROVED}GNU General Public License (GPL)\n{APPROVED}Artistic License\n", "GPL OR Artistic"),
    ],
)
def test_a_licence_is_read_from_metadata_old_and_new(metadata: str, licence: str) -> None:
    assert licence_of(Written(metadata)) == licence


def test_a_package_without_a_decision_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(licences, "DECISIONS", {name: "" for name in DECISIONS if name != "psycopg"})
    monkeypatch.setattr(licences, "PAGE", tmp_path / "licences.md")
    assert licences.main() == 1
    assert capsys.readouterr().err.startswith("error: psycopg has the licence 'LGPL-3.0-only'")
