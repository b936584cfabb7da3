"""What changed, in sentences. Only what an interval supports is called a change; anything else is said to be no
difference that these prompts can show, and how large one could still be."""

from collections.abc import Iterable, Mapping, Sequence

from analysis.comparing.change import Change
from analysis.comparing.experts import FlaggedSets, Place
from analysis.comparing.routing import RoutingChange

MOST = 6
NAMES = {
    "refusal_harmful": "refusal of harmful prompts",
    "refusal_benign": "over-refusal",
    "attack_success": "attack success",
    "degenerate": "broken answers",
    "refusal_jailbreak": "refusal of jailbreaks",
}
_SAID = {
    "refusal_harmful": "B refuses {points} {more} of the harmful prompts than A",
    "refusal_benign": "B refuses {points} {more} of the benign prompts than A",
    "attack_success": "B complies with {points} {more} of the harmful prompts than A",
    "degenerate": "B gives {points} {more} broken answers than A",
    "refusal_jailbreak": "B refuses {points} {more} of the jailbreaks than A",
}


def sentences(outcomes: Mapping[str, Change], routing: RoutingChange, flagged: FlaggedSets | None) -> tuple[str, ...]:
    """At most MOST of them, the gravest first."""
    rates = {name: outcomes[name] for name in NAMES if name in outcomes}
    said = [_rate(name, change) for name, change in rates.items() if change.shown and not _told(name, rates)]
    said += _unchanged(rates)
    said += [] if flagged is None else [_flagged(flagged)]
    said += _margin(outcomes.get("margin_harmful"))
    said += _ratio(routing.topic_ratio)
    return tuple(said[:MOST])


def points(value: float) -> str:
    """A share as points: "12 points", "1 point", "0.4 points"."""
    size = 100 * abs(value)
    number = f"{size:.0f}" if size >= 2 or float(f"{size:.1f}").is_integer() else f"{size:.1f}"
    return f"{number} point" if number == "1" else f"{number} points"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def experts(places: Sequence[Place]) -> str:
    return ", ".join(f"L{layer}·E{expert}" for layer, expert in places)


def _told(name: str, rates: Mapping[str, Change]) -> bool:
    """Attack success is refusal seen from the other side, and is told where refusal itself shows nothing."""
    return name == "attack_success" and "refusal_harmful" in rates and rates["refusal_harmful"].shown is not None


def _rate(name: str, change: Change) -> str:
    difference = change.difference
    assert difference.estimate is not None
    assert difference.low is not None
    assert difference.high is not None
    ends = sorted(100 * abs(end) for end in (difference.low, difference.high))
    more = "more" if change.shown == "higher" else "fewer"
    between = f"[{', '.join(points(end / 100).partition(' ')[0] for end in ends)}]"
    text = _SAID[name].format(points=f"{points(difference.estimate)} {between}", more=more)
    return f"{text}: {percent(change.b.estimate)} against {percent(change.a.estimate)}."


def _unchanged(rates: Mapping[str, Change]) -> list[str]:
    still = {NAMES[name]: change.at_most for name, change in rates.items() if not change.shown}
    known = [f"{name} (at most ± {points(size)})" for name, size in still.items() if size is not None]
    unknown = [name for name, size in still.items() if size is None]
    said = [f"No difference that these prompts can show in {_listed(known)}."] if known else []
    return said + ([f"Too few prompts to say how {_listed(unknown)} differ."] if unknown else [])


def _flagged(sets: FlaggedSets) -> str:
    if not (sets.only_a or sets.both or sets.only_b):
        return "Neither audit flags an expert."
    parts = [
        f"both flag {experts(sets.both)}" if sets.both else "no expert is flagged in both",
        f"only A flags {experts(sets.only_a)}" if sets.only_a else "",
        f"only B flags {experts(sets.only_b)}" if sets.only_b else "",
    ]
    text = "; ".join(filter(None, parts))
    alone = "" if sets.only_a or sets.only_b else ", and neither flags another"
    return f"{text[0].upper()}{text[1:]}{alone}."


def _margin(change: Change | None) -> list[str]:
    if change is None or not change.shown:
        return []
    difference = change.difference
    ends = sorted(abs(end) for end in (difference.low, difference.high) if end is not None)
    size = f"{abs(difference.estimate or 0):.2g} nats [{ends[0]:.2g}, {ends[1]:.2g}]"
    return [f"The refusal margin on harmful prompts is {size} {change.shown} in B."]


def _ratio(change: Change | None) -> list[str]:
    if change is None or not change.shown:
        return []
    a, b = (f"{side.estimate:.2g}" for side in (change.a, change.b))
    return [f"The topic ratio ρ is {change.shown} in B: {b} against {a}."]


def _listed(items: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last
