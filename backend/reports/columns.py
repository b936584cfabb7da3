"""What the columns of experts.csv and experts.xlsx hold, in words, and how a spreadsheet should show them."""

from collections.abc import Mapping
from typing import Any

_FIXED = {
    "layer": "Index of the decoder layer in the model, from 0; dense layers are counted.",
    "expert": "Index of the routed expert in its layer, from 0.",
    "rank": "The audit's overall ranking: 1 is most likely to carry the behaviour.",
    "flagged": "Whether the expert passed steps 4, 5 and 6 of the evidence ladder together.",
    "level": "The highest step of the evidence ladder that the expert reaches, 0 to 6.",
    "how": "How a flagged expert was found: alone, or in a set.",
    "correlated": "Step 1: its routing differs between harmful and benign prompts.",
    "stable": "Step 2: the difference survives resampling of the prompts.",
    "significant": "Step 3: q is at most 0.05 after correction over all experts.",
    "causal": "Step 4: ablating it changes refusal more than matched random experts do.",
    "selective": "Step 5: side effects are at most a third of the effect.",
    "replicated": "Step 6: the effect holds on prompts that were not used to find it.",
    "lift": "Selection frequency over even use: f · E / k; 1 is even use.",
    "difference": "Selection frequency on harmful prompts less that on benign ones.",
    "effect": "Refusal margin (nats) lost on harmful prompts when the expert is masked alone.",
    "effect_low": "Lower end of the effect's 95 % interval.",
    "effect_high": "Upper end of the effect's 95 % interval.",
    "effect_n": "How many prompts or topics the effect's interval rests on.",
    "null_mean": "Mean loss of refusal margin (nats) of matched random experts.",
    "null_sd": "Standard deviation of the same.",
    "null_n": "How many matched random experts there are.",
    "p_value": "Share of matched random experts with at least the effect, the expert itself counted.",
    "q_value": "p of the routing difference after correction over all experts (false discovery rate).",
    "stability": "Share of half-samples of the prompts in which the expert is among the top tenth of its layer.",
    "selectivity": "The worst side effect as a share of the effect; small is good.",
}
_GROUPS = {"all": "all prompts", "harmful": "harmful prompts", "benign": "benign prompts"}
_QUANTITIES = {
    "frequency": "Share of prompt tokens that select the expert",
    "probability": "Mean router probability on prompt tokens",
}
_WHOLE = frozenset({"layer", "expert", "rank", "level", "effect_n", "null_n"})


def meaning(column: str, report: Mapping[str, Any]) -> str:
    """One sentence on a column; scores are explained as the report itself explains its criteria."""
    if column in _FIXED:
        return _FIXED[column]
    quantity, _, group = column.partition("_")
    if quantity in _QUANTITIES and group in _GROUPS:
        return f"{_QUANTITIES[quantity]}, {_GROUPS[group]}."
    criteria = report.get("criteria") or {}
    if quantity == "score":
        about = criteria.get(group)
        return (
            f"{about['summary']} Unit: {about['unit']}. Source: {about['source']}." if about else f"Score by {group}."
        )
    of = next((name for name in sorted(criteria, key=len, reverse=True) if column.startswith(f"{name}_")), None)
    return f"What {of} says beside its score: {column.removeprefix(f'{of}_')}." if of else f"Detail: {column}."


def number_format(column: str) -> str:
    """An Excel number format: whole numbers as they are, all others with at most six decimals."""
    return "0" if column in _WHOLE else "0.0#####"
