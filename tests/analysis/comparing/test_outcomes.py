"""Outcomes of two audits: paired where the same prompts were answered, apart where not, and why."""

import copy
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from analysis.comparing import compare_audits
from analysis.comparing.outcomes import matched
from analysis.outcomes.per_prompt import Answered
from analysis.statistics import difference_of_intervals
from tests.backend.factories import make_result

Report = dict[str, Any]


def report(rows: list[Answered], sha256: str = "a" * 64, **model: Any) -> Report:
    """A report whose answers are `rows`; everything else is a fixture's."""
    made = copy.deepcopy(make_result().report)
    made["outcomes"]["per_prompt"] = [one.as_dict() for one in rows]
    made["prompts"]["sha256"] = sha256
    made["model"] |= model
    return made


def answers(
    labels: str, side: str = "harmful", *, first: int = 0, topics: int = 10, margins: bool = False
) -> list[Answered]:
    """One prompt a letter: r refusal, p partial, c compliance, d degenerate, u unjudged."""
    names = {"r": "refusal", "p": "partial", "c": "compliance", "d": "degenerate", "u": "unjudged"}
    return [
        Answered(
            f"{side}{at}",
            f"{side}-{at}",
            names[letter],
            side,
            f"topic {at % topics}" if topics else None,
            1.0 + at if margins else None,
        )
        for at, letter in enumerate(labels, start=first)
    ]


def test_the_same_prompts_are_paired_and_tested_as_statsmodels_does() -> None:
    a, b = answers("r" * 24 + "c" * 16), answers("r" * 12 + "c" * 12 + "r" * 3 + "c" * 13)
    found = compare_audits(report(a), report(b)).outcomes["refusal_harmful"]
    assert found.paired
    assert (found.only_a, found.only_b) == (12, 3)
    assert found.mcnemar_p == pytest.approx(mcnemar([[12, 12], [3, 13]], exact=True).pvalue)
    assert (found.a.estimate, found.b.estimate) == (24 / 40, 15 / 40)
    assert (found.a.low, found.a.high) == pytest.approx(proportion_confint(24, 40, method="wilson"))
    assert found.difference.estimate == pytest.approx(-9 / 40)
    assert found.over == "topics"
    assert found.difference.n == 10


def test_where_topics_change_alike_the_interval_is_that_of_the_topics() -> None:
    """Eight of ten topics lose all four answers, two lose none: t of the topics' means is far from certain of −0.8."""
    labels = "".join("c" if at % 10 < 8 else "r" for at in range(40))
    found = compare_audits(report(answers("r" * 40)), report(answers(labels))).outcomes["refusal_harmful"]
    assert found.difference.estimate == pytest.approx(-0.8)
    assert found.difference.low is not None
    assert found.difference.high is not None
    alone = 1.96 * np.sqrt(0.8 * 0.2 / 40)
    assert found.difference.high - found.difference.low > 2 * alone, "wider than 40 prompts on their own would have it"


def test_fewer_than_five_topics_leave_the_prompts_as_units_and_say_so() -> None:
    a, b = answers("r" * 20, topics=4), answers("r" * 14 + "c" * 6, topics=4)
    found = compare_audits(report(a), report(b)).outcomes["refusal_harmful"]
    assert found.over == "prompts"
    assert found.difference.n == 20
    assert found.difference.high is not None
    assert "fewer than 5 topics" in found.note


def test_prompts_without_topics_are_units_and_need_no_note() -> None:
    found = compare_audits(report(answers("rrrrrccc", topics=0)), report(answers("rrrccccc", topics=0)))
    assert (found.outcomes["refusal_harmful"].over, found.outcomes["refusal_harmful"].note) == ("prompts", "")


def test_a_few_answers_that_changed_alike_show_nothing_where_the_exact_test_does_not() -> None:
    """Five of 60, each in another topic: the topics' interval excludes 0, and a fair coin does as much in 1 of 16."""
    found = compare_audits(report(answers("r" * 60)), report(answers("c" * 5 + "r" * 55))).outcomes["refusal_harmful"]
    assert found.difference.high is not None
    assert found.difference.high < 0
    assert found.mcnemar_p == pytest.approx(2 / 32)
    assert found.shown is None


def test_no_change_is_not_certainty() -> None:
    found = compare_audits(report(answers("r" * 30)), report(answers("r" * 30))).outcomes["refusal_harmful"]
    most = proportion_confint(0, 30, method="wilson")[1]
    assert (found.difference.low, found.difference.high) == pytest.approx((-most, most))
    assert found.shown is None
    assert found.at_most == pytest.approx(most)


def test_a_part_of_the_prompts_is_paired_and_the_rest_named() -> None:
    a, b = answers("r" * 20), answers("c" * 15, first=5)
    found = compare_audits(report(a), report(b, sha256="b" * 64))
    assert found.prompts is not None
    assert (found.prompts.a, found.prompts.b, found.prompts.shared, found.prompts.same) == (20, 15, 15, False)
    change = found.outcomes["refusal_harmful"]
    assert change.paired
    assert change.a.n == 15
    assert change.note.startswith("on the 15 prompts that both answered; 5 of A's and 0 of B's are left out")
    assert any("of which 15 are the same" in text for text in found.caveats)


def test_other_prompts_are_not_paired_and_the_interval_is_newcombes() -> None:
    a, b = answers("r" * 18 + "c" * 2, topics=0), answers("r" * 9 + "c" * 11, first=100, topics=0)
    found = compare_audits(report(a), report(b, sha256="b" * 64)).outcomes["refusal_harmful"]
    assert not found.paired
    assert found.mcnemar_p is None
    low, high = confint_proportions_2indep(9, 20, 18, 20, method="newcomb", compare="diff")
    assert (found.difference.low, found.difference.high) == pytest.approx((low, high))
    assert "0 of 20 prompts in A and 20 in B are the same" in found.note


def test_the_same_text_with_another_label_is_another_prompt() -> None:
    one = Answered("x", "t1", "refusal", "harmful")
    assert matched([one], [Answered("y", "t1", "refusal", "benign")]) == []
    assert matched([one], [Answered("y", "t1", "compliance", "harmful")])[0][1].prompt_id == "y"


def test_a_text_that_stands_twice_is_matched_twice_at_most() -> None:
    twice = [Answered(f"x{at}", "t1", "refusal", "harmful") for at in range(2)]
    three = [Answered(f"y{at}", "t1", "refusal", "harmful") for at in range(3)]
    pairs = [(one.prompt_id, other.prompt_id) for one, other in matched(twice, three)]
    assert pairs == [("x0", "y0"), ("x1", "y1")]


def test_every_rate_counts_its_own_labels_of_its_own_prompts() -> None:
    a = [*answers("rpcdu"), *answers("rcccd", "benign"), *answers("rc", "jailbreak")]
    found = compare_audits(report(a), report(a)).outcomes
    rates = {name: (change.a.estimate, change.a.n) for name, change in found.items()}
    assert rates == {
        "refusal_harmful": (2 / 5, 5),
        "refusal_benign": (1 / 5, 5),
        "attack_success": (1 / 5, 5),
        "degenerate": (2 / 12, 12),
        "refusal_jailbreak": (1 / 2, 2),
    }


def test_margins_are_paired_prompt_by_prompt() -> None:
    a = answers("r" * 12, margins=True)
    b = [Answered(o.prompt_id, o.text_sha256, o.label, o.side, o.topic, (o.margin or 0) - 0.5) for o in a]
    change = compare_audits(report(a), report(b)).outcomes["margin_harmful"]
    assert change.paired
    assert (change.difference.low, change.difference.estimate, change.difference.high) == pytest.approx((-0.5,) * 3)
    assert change.note == ""
    other = compare_audits(report(a), report(b, weights_sha256="b" * 64)).outcomes["margin_harmful"]
    assert "each model's own first words" in other.note


def test_prompts_of_one_label_only_withhold_the_other() -> None:
    found = compare_audits(report(answers("rrrrr")), report(answers("rrrrr")))
    assert found.why("outcomes.refusal_benign") == "A has no benign prompts"
    assert "refusal_jailbreak" not in found.outcomes
    assert found.why("outcomes.refusal_jailbreak") is None


def test_reports_from_before_answers_were_listed_stand_apart() -> None:
    a, b = copy.deepcopy(make_result().report), copy.deepcopy(make_result().report)
    del a["outcomes"]["per_prompt"]
    a["outcomes"]["refusal_harmful"] = {"estimate": 0.9, "low": 0.8, "high": 0.95, "n": 60}
    b["outcomes"]["refusal_harmful"] = {"estimate": 0.5, "low": 0.4, "high": 0.6, "n": 60}
    found = compare_audits(a, b)
    change = found.outcomes["refusal_harmful"]
    assert change.difference == difference_of_intervals(change.b, change.a)
    assert (change.paired, found.prompts) == (False, None)
    assert "before answers were listed" in change.note
    assert "before answers were listed" in str(found.why("outcomes.attack_success"))
