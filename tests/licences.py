"""`make licences`: writes docs/licences.md, the licence of everything that is installed with ExpertScope, as its
metadata says it, and who needs it. A licence that asks for more than to be named needs a decision here."""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"

PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CNRI-Python",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "PSF-2.0",
        "Zlib",
    }
)
"""SPDX ids of licences that ask for their notice to be kept and for nothing else."""

_NAMES = {
    "3-clause bsd": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "artistic license": "Artistic",
    "bsd": "BSD",
    "bsd license": "BSD",
    "bsd 2-clause license": "BSD-2-Clause",
    "2-clause bsd": "BSD-2-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "gnu general public license (gpl)": "GPL",
    "gnu general public license v2 or later (gplv2+)": "GPL-2.0-or-later",
    "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.0-or-later",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 1.1 (mpl 1.1)": "MPL-1.1",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
}
"""What older metadata writes, and the SPDX id of it. `BSD` is one of the BSD licences; its file says which."""

DECISIONS: dict[str, str] = {
    "axe-playwright-python": "The metadata name no licence; the file in it is the MIT licence, and axe-core inside it "
    "is MPL-2.0. Development only, not distributed, not changed.",
    "certifi": "MPL-2.0. A list of certificates, distributed as it is; whoever changes that file publishes the change.",
    "hypothesis": "MPL-2.0. Development only, not distributed, not changed.",
    "pathspec": "MPL-2.0. Development only (hatchling, mypy), not distributed, not changed.",
    "psycopg": "LGPL-3.0. SQLAlchemy imports it where the database is PostgreSQL; it is never changed, and whoever "
    "installs may replace it, which is what the LGPL asks of a program that uses a library.",
    "psycopg-binary": "LGPL-3.0. The compiled part of psycopg, for which the same holds; libpq and OpenSSL inside it "
    "are under the PostgreSQL licence and Apache-2.0.",
    "pyphen": "GPL-2.0-or-later, LGPL-2.0-or-later or MPL-1.1 at the user's choice; used under MPL-1.1, through "
    "WeasyPrint, unchanged. Our reports ask for no hyphenation.",
    "text-unidecode": "Artistic or GPL at the user's choice, used under the Artistic licence. Development only, not "
    "distributed.",
    "tqdm": "MPL-2.0 and MIT. Distributed as it is; whoever changes its files under MPL-2.0 publishes the change.",
}
"""Packages whose licence is not (only) permissive, and why they may be used."""


@dataclass(frozen=True)
class Package:
    """`needed` is "runtime" or "development"; `licence` an SPDX expression, or "unknown"."""

    name: str
    licence: str
    needed: str

    @property
    def permissive(self) -> bool:
        """Whether every licence that applies is permissive, taking the better of two where one may choose."""
        return all(
            any(part.strip("() ") in PERMISSIVE | {"BSD"} for part in re.split(r"\bOR\b", all_of))
            for all_of in re.split(r"\bAND\b", self.licence.replace("Apache-2.0 WITH LLVM-exception", "Apache-2.0"))
        )


def licence_of(one: Distribution) -> str:
    """The SPDX expression of its metadata; of older metadata the classifiers, then the free text."""
    metadata = one.metadata
    expression = metadata.get("License-Expression")
    if expression:
        return expression
    text = (metadata.get("License") or "").strip()
    classified = [
        _spdx(line.split(" :: ")[-1]) for line in metadata.get_all("Classifier") or [] if "License ::" in line
    ]
    if text and "\n" not in text and text != "UNKNOWN" and classified in ([], ["BSD"]):
        return _spdx(text)
    return " OR ".join(classified) or "unknown"


def _spdx(name: str) -> str:
    return _NAMES.get(name.lower(), name)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def packages(root: Path = ROOT) -> list[Package]:
    """Everything that pyproject.toml leads to and that is installed here, by name."""
    with (root / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    runtime = dict(closure(project["dependencies"]))
    both = runtime | dict(closure(project["optional-dependencies"]["dev"]))
    return [
        Package(name, licence_of(one), "runtime" if name in runtime else "development")
        for name, one in sorted(both.items())
    ]


def closure(requirements: Iterable[str]) -> Iterator[tuple[str, Distribution]]:
    """Every installed distribution that the requirements lead to on this machine."""
    todo, seen = [Requirement(text) for text in requirements], set()
    while todo:
        wanted = todo.pop()
        key = (normal(wanted.name), frozenset(wanted.extras))
        if key in seen or key[0].startswith(("nvidia-", "cuda-")):  # the page speaks of them all at once
            continue
        seen.add(key)
        try:
            found = distribution(wanted.name)
        except PackageNotFoundError:  # what only another system or another torch needs
            continue
        yield key[0], found
        for requirement in map(Requirement, found.requires or []):
            extras = ({"extra": extra} for extra in ("", *wanted.extras))
            if requirement.marker is None or any(map(requirement.marker.evaluate, extras)):
                todo.append(requirement)


def page(found: list[Package]) -> str:
    """The text of docs/licences.md."""
    rows = [f"| {one.name} | {one.licence} | {one.needed} |" for one in found]
    decisions = [f"- **{name}**: {reason}" for name, reason in sorted(DECISIONS.items())]
    intro = (
        "ExpertScope is under the Apache License 2.0. What it is installed with has the licences below, as the "
        "packages' own metadata say; `constraints.txt` has the versions. Written by `make licences`; a test fails "
        "where a package comes in that is not permissive and has no decision. `BSD` stands where the metadata do not "
        "say which of the BSD licences."
    )
    cuda = (
        "torch for NVIDIA GPUs brings NVIDIA's own libraries under NVIDIA's terms: read those before you pass on an "
        "image that holds them (`TORCH=cu130`)."
    )
    return "\n".join(
        [
            "# Licences of the dependencies",
            "",
            intro,
            "",
            "## Decisions",
            "",
            *decisions,
            "",
            cuda,
            "",
            "## Packages",
            "",
            "| package | licence | needed for |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> int:
    found = packages()
    PAGE.write_text(page(found), encoding="utf-8")
    open_ = [one for one in found if not one.permissive and one.name not in DECISIONS]
    for one in open_:
        print(f"error: {one.name} has the licence '{one.licence}': decide in tests/licences.py", file=sys.stderr)
    return 1 if open_ else 0


if __name__ == "__main__":
    sys.exit(main())
