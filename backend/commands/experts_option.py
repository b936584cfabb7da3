"""`--experts`: pairs of layer and expert, or a document that names them."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from analysis.errors import InputError

_PAIR = re.compile(r"L?(\d+)(?::|·E)(\d+)")
_EXPECTED = "expected layer:expert pairs such as 3:12,5:7, or a report.json"


def known_form(value: str) -> str:
    """Refuse what is neither a list of pairs nor a file, as a wrong argument."""
    if not Path(value).is_file() and not all(_PAIR.fullmatch(part.strip()) for part in value.split(",")):
        raise typer.BadParameter(f"'{value}': {_EXPECTED}")
    return value


ExpertsOption = Annotated[
    str,
    typer.Option(
        "--experts",
        metavar="LIST|FILE",
        callback=known_form,
        help="layer:expert pairs such as 3:12,5:7, or a report.json, whose flagged experts are taken.",
    ),
]


def parse_experts(value: str) -> list[tuple[int, int]]:
    """(layer, expert) pairs in their order, each once.

    Raises InputError for a file that is no report, or one that flags no expert.
    """
    if Path(value).is_file():
        return _from_report(Path(value))
    pairs = [_PAIR.fullmatch(part.strip()) for part in value.split(",")]
    return list(dict.fromkeys((int(pair[1]), int(pair[2])) for pair in pairs if pair))


def _from_report(path: Path) -> list[tuple[int, int]]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        flagged = [(int(layer), int(expert)) for layer, expert in report["flagged"]["experts"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"--experts '{path}' is no report of an audit: {_EXPECTED}", field="experts") from error
    if not flagged:
        raise InputError(
            f"--experts '{path}' flags no expert: name those to mask as layer:expert pairs, such as 3:12,5:7",
            field="experts",
        )
    return flagged
