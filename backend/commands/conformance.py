"""`expertscope conformance`: every Mixture-of-Experts architecture that transformers can build, against the truth."""

from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.console import print_json, print_table, progress_bar, say
from backend.commands.options import JsonOption

if TYPE_CHECKING:
    from analysis.conformance import FamilyResult

FamilyOption = Annotated[
    list[str] | None,
    typer.Option("--family", metavar="NAME", help="A family of transformers; may be given again. Default: all."),
]


def conformance(family: FamilyOption = None, json: JsonOption = False) -> int:
    """Build tiny models of every architecture and compare tracing, masking and tuning with the truth."""
    rows = run_checks(family or [])
    if json:
        print_json([row.as_dict() for row in rows])
    else:
        print_table((row.family, row.status, row.reason or row.note) for row in rows)
    counts = {status: sum(row.status == status for row in rows) for status in ("exact", "unsupported", "wrong")}
    say(", ".join(f"{count} {status}" for status, count in counts.items()))
    return 1 if counts["wrong"] else 0


def run_checks(names: list[str]) -> "list[FamilyResult]":
    """Raises NotFoundError for a family that transformers does not have."""
    from analysis.conformance import check_families, families
    from analysis.conformance import family as named

    chosen = [named(name) for name in names] if names else list(families())
    with progress_bar() as progress:
        return check_families(chosen, progress)
