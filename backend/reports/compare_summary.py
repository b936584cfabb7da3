"""One page of plain text from a comparison, for a terminal."""

from collections.abc import Iterator, Sequence

from analysis.comparing import Change, Comparison
from analysis.comparing.words import NAMES, experts
from backend.formats import interval, number, points

_MARGINS = {"margin_harmful": "margin, harmful", "margin_benign": "margin, benign"}
Row = tuple[str, str, str, str, str]
_CONTRASTS = ("topic", "within_topic", "safety", "refusal_prefix", "behaviour")


def compare_summary(comparison: Comparison) -> str:
    """What differs, what changed, then the numbers."""
    lines = [*comparison.changed, ""]
    for name, side in (("A", comparison.a), ("B", comparison.b)):
        asked = f"{side.prompts}, {side.harmful} harmful, {side.benign} benign; {side.preset}, seed {side.seed}"
        lines.append(f"{name}  {side.ref}  on {asked}")
    lines += [f"differs  {one.part} {one.what}: {one.a} | {one.b}" for one in comparison.differs]
    lines += [f"mind     {text}" for text in comparison.caveats]
    lines += ["", *_aligned([("", "A", "B", "B − A", "McNemar p"), *_rates(comparison), *_contrasts(comparison)])]
    lines += [*dict.fromkeys(one.note for one in comparison.outcomes.values() if one.note), "", *_moved(comparison)]
    lines += [*_flagged(comparison), *_ranks(comparison)]
    lines += [f"withheld  {one.what}: {one.why}" for one in comparison.withheld]
    return "\n".join(line.rstrip() for line in lines)


def _aligned(rows: Sequence[Row]) -> list[str]:
    """Rows below each other, each column as wide as its widest cell."""
    widths = [max(len(row[at]) for row in rows) + 2 for at in range(len(rows[0]))]
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _rates(comparison: Comparison) -> Iterator[Row]:
    for name, words in {**NAMES, **_MARGINS}.items():
        change = comparison.outcomes.get(name)
        if change is None:
            continue
        rate = name in NAMES
        yield _line(words, change, rate, ("%", "pt") if rate else ("nats", "nats"))


def _line(words: str, change: Change, rate: bool, units: tuple[str, str]) -> Row:
    sides = [(side.as_dict(), units[side is change.difference]) for side in (change.a, change.b, change.difference)]
    a, b, difference = (points(side, unit) if rate else str(interval(side, unit)) for side, unit in sides)
    p = "" if change.mcnemar_p is None else f"{change.mcnemar_p:.2g}"
    return words, a, b, difference, p


def _contrasts(comparison: Comparison) -> Iterator[Row]:
    routing = comparison.routing
    if routing.topic_ratio is not None:
        yield _line("topic ratio ρ", routing.topic_ratio, False, ("", ""))
    for name in _CONTRASTS:
        if name in routing.contrasts:
            yield _line(f"JSD, {name.replace('_', ' ')}", routing.contrasts[name], False, ("", ""))


def _moved(comparison: Comparison) -> Iterator[str]:
    whole = comparison.routing.groups.get("all")
    if whole is not None:
        moved, apart = number(whole.mean_abs_frequency), number(whole.jsd)
        yield f"routing of the same experts: mean |Δf| {moved}, JSD {apart}"


def _flagged(comparison: Comparison) -> Iterator[str]:
    sets = comparison.flagged
    if sets is None:
        return
    named: Sequence[tuple[str, tuple[tuple[int, int], ...]]] = (
        ("only A", sets.only_a),
        ("both", sets.both),
        ("only B", sets.only_b),
    )
    yield "flagged  " + "; ".join(f"{name}: {experts(places) or 'none'}" for name, places in named)


def _ranks(comparison: Comparison) -> Iterator[str]:
    for name, one in comparison.ranks.items():
        same = f"{one.shared} of the first {one.top} the same"
        yield f"ranks    {name}: Spearman {number(one.spearman)}, Kendall {number(one.kendall)}, {same}"
