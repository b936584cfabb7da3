"""Judges by name, as settings and the command line know them."""

from analysis.errors import NotFoundError
from analysis.outcomes.judges.judgement import Judge
from analysis.outcomes.judges.lists import published_lists
from analysis.outcomes.judges.rules import rules_judge


def judge_names() -> tuple[str, ...]:
    """Every name that `load_judge` knows, the default first."""
    return ("rules", *(judge.name for judge in published_lists().values()))


def load_judge(name: str) -> Judge:
    """The judge of that name. Raises NotFoundError, naming those there are."""
    judges: dict[str, Judge] = {judge.name: judge for judge in published_lists().values()}
    judges["rules"] = rules_judge()
    if name not in judges:
        raise NotFoundError(f"no judge '{name}': there are {', '.join(judge_names())}", field="judge")
    return judges[name]
