"""One page of plain text from mask.json, for a terminal."""

from typing import Any

from backend import formats
from backend.reports.before_after import before_after


def mask_summary(document: dict[str, Any]) -> str:
    """The verdict, rates before and after, the controls and the guard."""
    outcomes, margin, guard = document["outcomes"], document["margin"], document["guard"]
    settings, model, prompts = document["settings"], document["model"], document["prompts"]
    experts = ", ".join(f"L{layer}·E{expert}" for layer, expert in document["experts"])
    lines = [
        document["verdict"]["sentence"],
        "",
        f"model    {model['ref']}",
        f"prompts  {prompts['name']}: {prompts['harmful']} harmful, {prompts['benign']} benign",
        f"experts  {experts}  ({settings['mode']}, {settings['window']})",
        "",
        *before_after(outcomes),
        "",
        *_controls(outcomes["refusal_harmful"]["null"], margin),
        *_utility(document.get("utility")),
        _guard(guard),
    ]
    lines += [f"withheld  {one['what']}: {one['why']}" for one in document["withheld"]]
    return "\n".join(lines)


def _controls(null: dict[str, Any], margin: dict[str, Any] | None) -> list[str]:
    lines = []
    if null["n"]:
        lines.append(
            f"refusal under {null['n']} random sets like them: {null['mean']:.0%} on average, 95 % of them between "
            f"{null['low']:.0%} and {null['high']:.0%}; p = {null['p_value']:.2g}"
        )
    if margin is not None:
        band = margin["null"]
        lines.append(f"refusal margin lost: {formats.interval(margin['loss'], 'nats')}")
        if band["n"]:
            lines.append(
                f"  under {band['n']} random sets: {band['mean']:.2g} on average, 95 % of them between "
                f"{band['low']:.2g} and {band['high']:.2g}; p = {margin['p_value']:.2g}"
            )
    return [line.replace("%", " %").replace("  %", " %") for line in lines]


def _guard(guard: dict[str, Any]) -> str:
    if guard["faults"]:
        return f"guard: failed, {' and '.join(guard['faults'])}"
    rise = f"broken answers {100 * guard['degeneration_rise']:+.0f} points"
    kls = {"benign prompts move by {:.2g} nats": "benign_kl", "benign answers by {:.2g} nats a token": "answer_kl"}
    moved = [words.format(guard[key]["estimate"]) for words, key in kls.items() if guard.get(key) is not None]
    if not moved:
        return f"guard: {rise}; benign prompts were not measured"
    return f"guard: passed, {', '.join([rise, *moved])}"


def _utility(utility: dict[str, Any] | None) -> list[str]:
    """What the mask costs: perplexities and multiple choice."""
    if utility is None:
        return []
    lines = []
    for name, found in (
        ("its own benign answers", utility["perplexity"]),
        ("the text", utility["text_perplexity"]),
    ):
        if found is not None:
            before, after = (found[side]["estimate"] for side in ("before", "after"))
            ratio = formats.interval(found["ratio"])
            lines.append(f"perplexity of {name}: {before:.4g} → {after:.4g}, times {ratio}")
    if (choice := utility["multiple_choice"]) is not None:
        change = formats.points(choice["difference"], "pt")
        lines.append(
            f"multiple choice, {choice['questions']} questions: {choice['before']['estimate']:.0%} → "
            f"{choice['after']['estimate']:.0%} correct ({choice['chance']:.0%} by chance), {change}"
        )
    return [line.replace("%", " %") for line in lines]
