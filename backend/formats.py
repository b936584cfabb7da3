"""Numbers as people read them: at most three significant figures, units always, an interval after its estimate."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

NONE = "—"
MINUS = "−"
THIN = "\u202f"
SMALLEST = 1e-4
"""Numbers nearer to zero are written with a power of ten."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Shown:
    """An estimate and its interval, both as text; either is empty when there is none."""

    estimate: str
    interval: str

    def __str__(self) -> str:
        return f"{self.estimate} {self.interval}".strip()


def prompt_label(label: str | None, group: str) -> str:
    """A prompt's label, and its group where that is not the regular one."""
    return ", ".join(filter(None, [label, None if group == "regular" else group])) or NONE


def number(value: float | None, digits: int = 3) -> str:
    """At most `digits` significant figures, with a real minus and thin spaces in thousands; — for nothing."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if abs(value) < SMALLEST:
        return _scientific(value, digits)
    text = fixed(value, _decimals(value, digits))
    return text.rstrip("0").rstrip(".") if "." in text else text


def fixed(value: float | None, decimals: int) -> str:
    """With a given number of decimals, and never a minus before a zero."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:,.{decimals}f}".replace(",", THIN)
    if text.startswith("-"):
        text = text[1:] if not any(figure in text for figure in "123456789") else MINUS + text[1:]
    return text


def percent(share: float | None) -> str:
    """A share of 1 as "72 %"; below 10 % with a decimal."""
    if share is None or not math.isfinite(share):
        return NONE
    points = 100 * share
    return f"{fixed(points, 0 if points == 0 or abs(points) >= 10 else 1)} %"


def count(value: int) -> str:
    return f"{value:,}".replace(",", THIN)


def plural(value: int, noun: str, nouns: str | None = None) -> str:
    """ "1 prompt", "2 prompts", "1 200 prompts"."""
    return f"{count(value)} {noun if value == 1 else nouns or noun + 's'}"


def interval(value: Mapping[str, Any] | None, unit: str = "") -> Shown:
    """A report's interval as "0.24" and "[0.19, 0.30]"; the width decides how many decimals mean anything."""
    estimate = value.get("estimate") if value else None
    if value is None or estimate is None:
        return Shown(NONE, "")
    low, high = value.get("low"), value.get("high")
    suffix = f" {unit}" if unit else ""
    if low is None or high is None:
        return Shown(number(estimate) + suffix, "")
    decimals = _interval_decimals(estimate, low, high)
    return Shown(fixed(estimate, decimals) + suffix, f"[{fixed(low, decimals)}, {fixed(high, decimals)}]")


def rate(value: Mapping[str, Any] | None) -> Shown:
    """A report's interval of a share as "72 %" and "[68, 75]"."""
    estimate = value.get("estimate") if value else None
    if value is None or estimate is None:
        return Shown(NONE, "")
    low, high = value.get("low"), value.get("high")
    if low is None or high is None:
        return Shown(percent(estimate), "")
    shares = (estimate, low, high)
    decimals = 0 if 100 * (high - low) >= 2 else 1
    if all(fixed(100 * share, 1).endswith(".0") for share in shares):
        decimals = 0
    shown, low_text, high_text = (fixed(100 * share, decimals) for share in shares)
    return Shown(f"{shown} %", f"[{low_text}, {high_text}]")


def points(value: Mapping[str, Any] | None, unit: str = "%") -> str:
    """A report's interval of a share in whole points, in a line of text: "72 [68, 75] %", "−13 [−20, −6] pt"."""
    ends = [value.get(end) for end in ("estimate", "low", "high")] if value else [None]
    shown = [fixed(100 * end, 0) for end in ends if end is not None]
    if ends[0] is None:
        return NONE
    return f"{shown[0]} [{shown[1]}, {shown[2]}] {unit}" if len(shown) == 3 else f"{shown[0]} {unit}"


def p_value(value: float | None) -> str:
    """ "0.01", "0.0004", "< 0.0001"."""
    if value is None:
        return NONE
    return "< 0.0001" if value < 0.0001 else number(value, 2)


def seconds(value: float | None) -> str:
    """A duration: "8 s", "3 min 20 s", "1 h 5 min"."""
    if value is None:
        return NONE
    whole = max(0, round(value))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def moment(value: datetime | None) -> str:
    """A time on this server's clock: "22 Nov 10:41", with the year when it is another one."""
    if value is None:
        return NONE
    local = value.astimezone()
    this_year = local.year == datetime.now(local.tzinfo).year
    return f"{local.day} {local:%b %H:%M}" if this_year else f"{local.day} {local:%b %Y}"


def ordinal(value: int) -> str:
    """ "1st", "12th", "23rd"."""
    ending = "th" if 10 <= value % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{count(value)}{ending}"


def spans(numbers: Sequence[int]) -> str:
    """Whole numbers in rising order, runs of three or more drawn together: "0–3, 5, 7"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    shown = [f"{one[0]}–{one[-1]}" if len(one) > 2 else ", ".join(map(str, one)) for one in parts]
    return ", ".join(shown)


def place(layer: int, expert: int) -> str:
    """The name of an expert: "L2·E5"."""
    return f"L{layer}·E{expert}"


def _scientific(value: float, digits: int) -> str:
    figures, _, power = f"{value:.{digits - 1}e}".partition("e")
    return f"{figures.replace('-', MINUS)} × 10{str(int(power)).translate(_RAISED)}"


def _decimals(value: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))


def _interval_decimals(estimate: float, low: float, high: float) -> int:
    """Two figures of the width, but no more than three of the largest number shown."""
    largest = max(abs(estimate), abs(low), abs(high))
    if largest == 0:
        return 0
    width = high - low
    wanted = _decimals(width, 2) if width > 0 else _decimals(largest, 3)
    return min(wanted, _decimals(largest, 3))


def size(count_of_bytes: int) -> str:
    """Bytes as people say them: "512 B", "120 kB", "1.5 GB", in powers of 1000."""
    value, unit = float(count_of_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{number(value, 3)} {unit}"
