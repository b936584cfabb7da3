"""Turns phrases kept as data into compiled patterns. Called by the rules judge and by the published lists."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from analysis.errors import InputError

Match = Literal["prefix", "substring", "regex"]
FRAGMENT = re.compile(r"<([a-z]+)>")


def compile_phrases(match: Match, phrases: Iterable[str], *, case: bool = False) -> re.Pattern[str]:
    """One pattern that finds any of the phrases: at the start, anywhere, or as regular expressions.

    A prefix may follow white space, which belongs to no match: it is taken by a group of its own, so the phrase is
    always group "phrase".
    """
    found = "|".join(phrase if match == "regex" else re.escape(phrase) for phrase in phrases)
    start = r"\A\s*" if match == "prefix" else ""
    return re.compile(f"{start}(?P<phrase>{found})", 0 if case else re.IGNORECASE)


def expand(source: str, fragments: Mapping[str, str]) -> str:
    """The lines of `source` as alternatives, each <name> replaced by that fragment.

    Raises InputError for a fragment that does not exist.
    """
    alternatives = "|".join(source.splitlines())
    for name in FRAGMENT.findall(alternatives):
        if name not in fragments:
            raise InputError(f"pattern {source!r} uses <{name}>, which is none of the fragments {', '.join(fragments)}")
    return FRAGMENT.sub(lambda name: f"(?:{fragments[name[1]]})", alternatives)
