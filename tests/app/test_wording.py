"""A heading is a finding only where the interval supports it."""

import pytest

from app import wording
from backend.services import TopicUse, routing_finding


def report(estimate: float | None, low: float | None, high: float | None) -> dict:
    return {"routing": {"topic_ratio": {"estimate": estimate, "low": low, "high": high, "n": 12}}}


@pytest.mark.parametrize(
    ("ratio", "finding"),
    [
        ((0.24, 0.19, 0.30), "Routing follows topic, not safety"),
        ((0.60, 0.45, 0.90), "Routing follows topic more than safety"),
        ((0.90, 0.70, 1.20), "Routing follows topic and safety alike, as far as these prompts tell"),
        ((1.60, 1.20, 2.00), "Routing separates harmful from benign more than it separates topics"),
        ((0.24, None, None), "Routing follows topic and safety to a degree that these prompts cannot tell apart"),
        ((None, None, None), "Whether routing follows topic or safety could not be measured"),
    ],
)
def test_the_routing_finding_follows_the_interval(ratio: tuple, finding: str) -> None:
    assert routing_finding(report(*ratio)) == finding


def test_the_number_of_flagged_experts_is_a_sentence() -> None:
    alone, together = {"flagged": True, "how": "alone"}, {"flagged": True, "how": "in a set"}
    assert wording.flagged_finding([alone], 3) == "1 of 3 experts carries refusal"
    assert wording.flagged_finding([alone, alone], 48_128) == "2 of 48\u202f128 experts carry refusal"
    assert wording.flagged_finding([alone, together], 2) == "2 of 2 experts carry refusal together"
    assert wording.flagged_finding([], 2) == "No expert of 2 was found to carry refusal"


def test_a_null_is_described_as_it_is_drawn() -> None:
    null = {"mean": 0.1, "sd": 0.2, "n": 3}
    band = wording.null_note({"how": "alone", "null": null, "p_value": 0.25})
    assert band.startswith("The band is the mean ± 2 standard deviations of 3 random experts")
    dots = {"how": "alone", "null": {**null, "values": [0.0, 0.1, 2.0]}, "p_value": 0.5}
    assert wording.null_note(dots).endswith(
        "Each grey dot is one of 3 random experts like it in layer and load. 1 of them does as much."
    )
    assert wording.null_note({**dots, "p_value": 0.25}).endswith("None of them do as much.")
    assert "adds to the flagged set" in wording.null_note({**dots, "how": "in a set"})


def row(flagged: bool = False, **evidence: bool) -> dict:
    return {"layer": 2, "expert": 5, "flagged": flagged, "how": "alone" if flagged else None, "evidence": evidence}


def use(topic: str, lift: float | None) -> TopicUse:
    return TopicUse(topic, None, lift, None, None)


def test_only_a_flagged_expert_is_said_to_carry_refusal() -> None:
    assert wording.expert_finding(row(True), []).startswith("L2·E5 carries refusal")
    assert "carr" not in wording.expert_finding(row(causal=True), [])
    assert "shows no sign" in wording.expert_finding(row(), [])


def test_a_topic_is_named_only_when_it_stands_out() -> None:
    assert "banking uses it 1.8 times" in wording.expert_finding(row(), [use("travel", 0.4), use("banking", 1.79)])
    assert "no topic" in wording.expert_finding(row(), [use("travel", 1.2), use("art", None)])


def test_the_ladder_is_read_out_in_words() -> None:
    assert wording.ladder_text({"causal": True, "selective": True}) == "Evidence 2 of 6: causal, selective"
    assert wording.ladder_text({}) == "Evidence 0 of 6: none"


def test_a_verdict_is_a_heading_and_what_it_rests_on() -> None:
    split = wording.verdict("2 experts carry refusal: L2·E10 and L0·E1; masked, refusal goes to 0 %; it is 100 % else.")
    assert split.finding == "2 experts carry refusal: L2·E10 and L0·E1"
    assert split.basis == "Masked, refusal goes to 0 %; it is 100 % else."
    assert wording.verdict("No expert was found that refusal depends on.").basis == ""


def test_caveats_are_no_part_of_the_heading() -> None:
    caveats = ["Alarm: expert L1·E11 is rarely at work; look at it.", "And another."]
    split = wording.verdict(f"No expert was found that refusal depends on. {' '.join(caveats)}", caveats)
    assert split == wording.Verdict("No expert was found that refusal depends on", "", tuple(caveats))


def test_nothing_is_said_of_topic_and_safety_where_they_are_tied() -> None:
    tied = report(0.24, 0.19, 0.30) | {"verdict": {"confounded": "no topic has both harmful and benign prompts"}}
    assert routing_finding(tied) == "Whether routing follows topic or safety cannot be told with these prompts"


def rare(refusal: float, alarm: bool) -> dict:
    return {"layer": 1, "expert": 3, "load": 0.045, "prompts": 7, "margin": 0.0, "refusal": refusal, "alarm": alarm}


def test_rare_experts_are_an_alarm_or_a_line() -> None:
    assert wording.rare_finding([rare(-0.9, True)]) == (
        "Alarm: 1 rare expert changes refusal on the few prompts that use it"
    )
    assert wording.rare_finding([rare(-0.9, True)] * 2).endswith(
        "2 rare experts change refusal on the few prompts that use them"
    )
    assert wording.rare_finding([rare(0.0, False)]).startswith("1 rare expert was looked at where it works")
    assert wording.rare_finding([rare(0.0, False)] * 3).startswith("3 rare experts were looked at")
    assert wording.rare_line(rare(-0.999, True)) == (
        "4.5 % of an even load, used by 7 harmful prompts; refusal there without it: 100 points higher"
    )
    assert wording.rare_line(rare(1e-7, False)).endswith("refusal there without it: as it is")


def test_what_is_withheld_has_a_name() -> None:
    assert wording.withheld_name("outcomes.judge_agreement") == "Judge agreement"
    assert wording.withheld_name("flagged.effect") == "Effect of the flagged set"
    assert wording.withheld_name("routing.topic_ratio interval") == "Topic ratio, interval"
    assert wording.withheld_name("outcomes.over_topics interval") == "Rates over topics, interval"
    assert wording.withheld_name("experts.scores.raset") == "Contrastive routing sensitivity"


TOPIC, SAFETY, NEITHER, UNKNOWN = (0.2, 0.1, 0.3), (2.0, 1.5, 2.5), (1.0, 0.8, 1.2), (None, None, None)


def layers(*ratios: tuple) -> dict:
    rows = [
        {"layer": layer, "topic_ratio": dict(zip(("estimate", "low", "high"), ratio, strict=True))}
        for layer, ratio in enumerate(ratios)
    ]
    return {"routing": {"per_layer": rows}, "verdict": {}}


@pytest.mark.parametrize(
    ("ratios", "finding"),
    [
        ((TOPIC, TOPIC, TOPIC), "Topic drives all 3 layers"),
        ((TOPIC,), "Topic drives the only layer"),
        ((TOPIC, TOPIC, TOPIC, SAFETY), "Topic drives layers 0–2, safety drives layer 3"),
        ((SAFETY, NEITHER, UNKNOWN), "Safety drives layer 0, the rest do not say"),
        ((TOPIC, TOPIC, NEITHER), "Topic drives layers 0, 1, one does not say"),
        ((NEITHER, UNKNOWN), "No layer follows one more than the other, as far as these prompts tell"),
    ],
)
def test_a_layer_is_driven_by_what_its_interval_supports(ratios: tuple, finding: str) -> None:
    assert wording.layers_finding(layers(*ratios)) == finding


def test_confounded_prompts_say_nothing_of_a_layer() -> None:
    found = layers(TOPIC)
    (row,) = found["routing"]["per_layer"]
    assert wording.layer_drive(row, confounded=False) == "Topic"
    assert wording.layer_drive(row, confounded=True) == "Cannot be told"
    found["verdict"] = {"confounded": True}
    assert wording.layers_finding(found) == "What drives a layer cannot be told with these prompts"


def test_a_sentence_has_thousands_as_everywhere_and_signals_by_their_names() -> None:
    assert wording.sentence("trace", "Every one of 1,203,824 selections, in 4 layers") == (
        "Every one of 1\u202f203\u202f824 selections, in 4 layers"
    )
    said = "router_logits tells harmful from benign; not better than words, layer_inputs"
    assert wording.sentence("detect", said) == (
        "router logits tells harmful from benign; not better than words of the prompt, layers' inputs"
    )
    assert wording.sentence("audit", "in other words, layers 1,2") == "in other words, layers 1,2"
