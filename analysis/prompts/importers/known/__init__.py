"""The public prompt sets that are recognised by their own headers, so that a downloaded file works as it is.

To add one: a module with a `KnownSet` whose `columns` no other set has together, and a line in `KNOWN_SETS`.
"""

from collections.abc import Sequence

from analysis.prompts.importers.known.advbench import ADVBENCH
from analysis.prompts.importers.known.harmbench import HARMBENCH
from analysis.prompts.importers.known.jailbreakbench import JAILBREAKBENCH, JAILBREAKBENCH_MATCHED
from analysis.prompts.importers.known.known_set import KnownSet
from analysis.prompts.importers.known.simple_safety_tests import SIMPLE_SAFETY_TESTS
from analysis.prompts.importers.known.xstest import XSTEST

__all__ = ["KNOWN_SETS", "KnownSet", "recognise"]

KNOWN_SETS = (XSTEST, HARMBENCH, SIMPLE_SAFETY_TESTS, JAILBREAKBENCH_MATCHED, JAILBREAKBENCH, ADVBENCH)


def recognise(columns: Sequence[str]) -> KnownSet | None:
    """The set whose header this is, or None. `columns` are lower-case names; further columns do no harm.

    A file with a `prompt` column of its own is never taken for a set that calls its prompts something else.
    """
    names = set(columns)
    alike = (known for known in KNOWN_SETS if ("prompt" in known.columns) == ("prompt" in names))
    return next((known for known in alike if known.columns <= names), None)
