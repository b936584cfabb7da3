"""What commands print and where: results on stdout, everything else on stderr, a progress bar only on a terminal."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

ProgressLine = Callable[[str, int, int], None]


def print_json(document: object) -> None:
    """The one JSON document of a command that was called with --json."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False, default=str) + "\n")


def print_table(rows: Iterable[Sequence[object]]) -> None:
    """Tab-separated lines, the name first, so that `cut -f1` gives the names."""
    for row in rows:
        sys.stdout.write("\t".join(" ".join(str(cell).split()) for cell in row) + "\n")


def say(text: str) -> None:
    """One line for a person, on stderr."""
    sys.stderr.write(text + "\n")


@contextmanager
def progress_bar() -> Iterator[ProgressLine]:
    """A callback for `analysis.audit`: draws a bar on a terminal, and nothing into a pipe."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield show
