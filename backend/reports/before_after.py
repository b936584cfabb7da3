"""Rates before and after something was done to a model, as lines of a terminal's page."""

from collections.abc import Iterator, Mapping
from typing import Any

from backend import formats

_ROW = "{:<26}{:<26}{:<26}{:<28}{}"
_NAMES = {
    "refusal_harmful": "refusal of harmful",
    "refusal_jailbreak": "refusal of jailbreaks",
    "attack_success": "harmful answered",
    "refusal_benign": "refusal of benign",
    "degenerate": "broken answers",
}


def before_after(outcomes: Mapping[str, Any]) -> Iterator[str]:
    """A heading, then a line for each of mask.json's or tune.json's `outcomes` that was measured."""
    yield _ROW.format("", "before", "after", "difference", "McNemar p").rstrip()
    for key, name in _NAMES.items():
        if (found := outcomes.get(key)) is not None:
            before, after = formats.points(found["before"]), formats.points(found["after"])
            yield _ROW.format(
                name, before, after, formats.points(found["difference"], "pt"), f"{found['mcnemar_p']:.2g}"
            )
