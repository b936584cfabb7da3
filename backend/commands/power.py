"""`expertscope prompts power`: how many prompts a half-width needs, or what a number of prompts can resolve."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.console import print_json, print_table
from backend.commands.options import JsonOption

if TYPE_CHECKING:
    from analysis.statistics import Topics

Share = {"min": 0.0, "max": 1.0}


def show_power(
    points: Annotated[
        float | None, typer.Option("--points", help="The half-width wanted, in points: 5 is ± 5 points.")
    ] = None,
    prompts: Annotated[int | None, typer.Option("--prompts", min=1, help="The number of prompts there is.")] = None,
    rate: Annotated[float, typer.Option("--rate", **Share, help="The rate expected; 0.5 is the widest case.")] = 0.5,
    changed: Annotated[
        float | None,
        typer.Option("--changed", **Share, help="For a paired difference: the share of answers that will change."),
    ] = None,
    topics: Annotated[int | None, typer.Option("--topics", min=1, help="Over how many topics they are spread.")] = None,
    icc: Annotated[
        float, typer.Option("--icc", **Share, help="How alike prompts of a topic are (intraclass correlation).")
    ] = 0.1,
    json: JsonOption = False,
) -> None:
    """How many prompts a half-width needs (--points), or what a number of prompts resolves (--prompts)."""
    from analysis.errors import InputError
    from analysis.statistics import Topics

    if (points is None) == (prompts is None):
        raise InputError("give either --points, for the prompts needed, or --prompts, for the points they resolve")
    spread = Topics(topics, icc) if topics is not None else None
    needed = prompts if points is None else _needed(points / 100, rate, changed, spread)
    assert needed is not None
    answer: dict[str, Any] = {
        "prompts": needed,
        "points": round(100 * _half_width(needed, rate, changed, spread), 2),
        "of": "rate" if changed is None else "paired difference",
        "topics": topics,
        "icc": None if topics is None else icc,
    }
    if json:
        print_json(answer)
    else:
        print_table((name, value) for name, value in answer.items() if value is not None)


def _needed(half_width: float, rate: float, changed: float | None, topics: "Topics | None") -> int:
    from analysis.statistics import prompts_for_difference, prompts_for_rate

    if changed is None:
        return prompts_for_rate(half_width, rate, topics)
    return prompts_for_difference(half_width, changed, topics=topics)


def _half_width(prompts: int, rate: float, changed: float | None, topics: "Topics | None") -> float:
    from analysis.statistics import difference_half_width, rate_half_width

    if changed is None:
        return rate_half_width(rate, prompts, topics)
    return difference_half_width(changed, 0.0, prompts, topics)
