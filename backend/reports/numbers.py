"""How reports write numbers: at most three significant figures, units, an interval after its estimate, a dash for what
is not known."""

import math
from collections.abc import Mapping
from typing import Any

NOTHING = "–"
Interval = Mapping[str, Any]


def number(value: float | None) -> str:
    """At most three significant figures, such as 0.125, 12.5 or 1,234."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    if digits > 6:
        return f"{value:.2g}".replace("-", "−")
    text = f"{value:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def percent(value: float | None) -> str:
    """A rate in [0, 1] as whole per cent, such as 72 %; a decimal near the ends where it would vanish."""
    if value is None:
        return NOTHING
    decimals = 1 if 0 < value < 0.01 or 0.99 < value < 1 else 0
    text = f"{100 * value:.{decimals}f}"
    return f"{text.removeprefix('-') if float(text) == 0 else text} %".replace("-", "−")


def p_value(value: float | None) -> str:
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else number(value)


def interval(value: Interval | None) -> str:
    """Such as 0.24 [0.19, 0.30]."""
    return _with_bounds(value, number)


def percent_interval(value: Interval | None) -> str:
    """Such as 72 % [68, 75]."""
    return _with_bounds(value, percent).replace(" %]", "]").replace(" %, ", ", ")


def _with_bounds(value: Interval | None, write: Any) -> str:
    if value is None or value["estimate"] is None:
        return NOTHING
    estimate = write(value["estimate"])
    if value["low"] is None or value["high"] is None:
        return str(estimate)
    return f"{estimate} [{write(value['low'])}, {write(value['high'])}]"


def count(value: int) -> str:
    """Such as 48,128."""
    return f"{value:,}"


def plural(value: int, noun: str, nouns: str | None = None) -> str:
    """Such as 1 prompt, 2 prompts."""
    return f"{count(value)} {noun if value == 1 else nouns or noun + 's'}"
