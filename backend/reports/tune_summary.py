"""One page of plain text from tune.json, for a terminal."""

from typing import Any

from backend.reports.before_after import before_after

_CONTROL = "{:<34}{:>5}{:>11}{:>17}{:>17}"


def tune_summary(document: dict[str, Any]) -> str:
    """The verdict, rates before and after, the place within the controls, drift and the guard."""
    model, prompts, recipe = document["model"], document["prompts"], document["recipe"]
    experts = ", ".join(f"L{layer}·E{expert}" for layer, expert in document["experts"])
    update, measured = document["update"], prompts["measured_on"]
    asked = f"measured on {measured['harmful']} harmful, {measured['benign']} benign"
    learned = f"tuned on {prompts['tuned_on']['harmful']} and {prompts['tuned_on']['benign']} others"
    how = f"{document['direction']}, {recipe['name']}, rank {update['rank']}, {document['training']['steps']} steps"
    trained = f"{update['parameters']:,} of {update['model_parameters']:,} parameters ({100 * update['share']:.2f} %)"
    lines = [
        document["verdict"]["sentence"],
        document["verdict"]["localises"],
        "",
        f"model    {model['ref']}",
        f"prompts  {prompts['name']}: {asked}; {learned}",
        f"experts  {experts}  ({how})",
        f"trained  {trained}; routers {'move' if update['moves_routers'] else 'stay'}",
        "",
        *before_after(document["outcomes"]),
        "",
        *_controls(document["controls"]),
        *_drift(document["drift"]),
        _guard(document["guard"]),
    ]
    if document["adapter"] is None:
        lines.append(f"adapter  none: {recipe['not_exported'] or 'no folder was named'}")
    lines += [f"withheld  {one['what']}: {one['why']}" for one in document["withheld"]]
    return "\n".join(lines)


def _controls(controls: dict[str, Any]) -> list[str]:
    """One line a kind; "as much" is as low or as high a rate as the chosen set's."""
    own = controls["chosen"]
    lines = [
        _CONTROL.format("tuned alike", "sets", "refusal", "as much", "drift (bits)"),
        _CONTROL.format("the chosen experts", "", f"{100 * own['value']:.0f} %", "", f"{own['drift_jsd']:.4f}"),
    ]
    for kind in controls["kinds"]:
        drifts = [one["drift_jsd"] for one in kind["sets"] if one["failed"] is None]
        if not kind["n"]:
            lines.append(_CONTROL.format(kind["title"].lower(), 0, "—", "—", "—"))
            continue
        p = f", p = {kind['p_value']:.2g}" if kind["p_value"] is not None else ""
        much = f"{kind['as_extreme']} of {kind['n']}{p}"
        mean = f"{100 * kind['mean']:.0f} %"
        lines.append(_CONTROL.format(kind["title"].lower(), kind["n"], mean, much, f"{sum(drifts) / len(drifts):.4f}"))
    return lines


def _drift(drift: dict[str, Any]) -> list[str]:
    pairs = drift["pairs"]
    beside = f", {pairs['jsd']['estimate']:.4f} between matched harmful and benign prompts" if pairs else ""
    return [f"routers at the boundary token move by {drift['all']['jsd']['estimate']:.4f} bits{beside}"]


def _guard(guard: dict[str, Any]) -> str:
    if guard["faults"]:
        return f"guard: failed, {' and '.join(guard['faults'])}"
    rise = f"broken answers {100 * guard['degeneration_rise']:+.0f} points"
    if guard["benign_kl"] is None:
        return f"guard: {rise}; benign prompts were not measured"
    return f"guard: passed, {rise}, benign prompts move by {guard['benign_kl']['estimate']:.2g} nats"
