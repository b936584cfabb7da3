"""One page of plain text from mask.json, for a terminal."""

from typing import Any

_ROW = "{:<26}{:<26}{:<26}{:<28}{}"


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
        _ROW.format("", "before", "after", "difference", "McNemar p").rstrip(),
        *_rates(outcomes),
        "",
        *_controls(outcomes["refusal_harmful"]["null"], margin),
        _guard(guard),
    ]
    lines += [f"withheld  {one['what']}: {one['why']}" for one in document["withheld"]]
    return "\n".join(lines)


def _rates(outcomes: dict[str, Any]) -> list[str]:
    names = {
        "refusal_harmful": "refusal of harmful",
        "refusal_benign": "refusal of benign",
        "degenerate": "broken answers",
    }
    return [
        _ROW.format(
            name,
            _interval(outcomes[key]["before"], 100, " %"),
            _interval(outcomes[key]["after"], 100, " %"),
            _interval(outcomes[key]["difference"], 100, " pt"),
            f"{outcomes[key]['mcnemar_p']:.2g}",
        )
        for key, name in names.items()
        if outcomes[key] is not None
    ]


def _controls(null: dict[str, Any], margin: dict[str, Any] | None) -> list[str]:
    lines = []
    if null["n"]:
        lines.append(
            f"refusal under {null['n']} random sets like them: {null['mean']:.0%} on average, 95 % of them between "
            f"{null['low']:.0%} and {null['high']:.0%}; p = {null['p_value']:.2g}"
        )
    if margin is not None:
        band = margin["null"]
        lines.append(f"refusal margin lost: {_interval(margin['loss'], 1, ' nats')}")
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
    if guard["benign_kl"] is None:
        return f"guard: {rise}; benign prompts were not measured"
    return f"guard: passed, {rise}, benign prompts move by {guard['benign_kl']['estimate']:.2g} nats"


def _interval(interval: dict[str, Any], factor: float, unit: str) -> str:
    if interval["estimate"] is None:
        return "–"
    digits = 0 if factor > 1 else 2
    estimate = f"{factor * interval['estimate']:.{digits}f}"
    if interval["low"] is None:
        return f"{estimate}{unit}"
    return f"{estimate} [{factor * interval['low']:.{digits}f}, {factor * interval['high']:.{digits}f}]{unit}"
