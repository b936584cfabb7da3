"""Whether topic and harm can be told apart, on prompt sets small enough to count by hand."""

import pytest

from analysis.evidence.confounding import confounding
from analysis.prompts.prompt_set import Label, Prompt, PromptSet


def prompts(*rows: tuple[Label | None, str | None]) -> PromptSet:
    return PromptSet("few", tuple(Prompt(str(i), f"text {i}", label, topic) for i, (label, topic) in enumerate(rows)))


def test_harm_in_one_topic_and_benign_prompts_elsewhere_cannot_be_told_apart() -> None:
    tied = prompts(("harmful", "banking"), ("harmful", "banking"), ("benign", "art"), ("benign", "music"))
    assert confounding(tied) == "no topic has both harmful and benign prompts"


def test_a_minority_of_comparable_prompts_is_named_with_its_share() -> None:
    few = prompts(*[("harmful", "banking")] * 3, ("harmful", "art"), ("benign", "art"), ("benign", "music"))
    assert confounding(few) == "only 25 % of the harmful prompts are of a topic that benign prompts have"


@pytest.mark.parametrize(
    "rows",
    [
        [("harmful", "art"), ("benign", "art"), ("harmful", "music"), ("benign", "music")],
        [("harmful", "art"), ("benign", "art"), ("benign", "music"), ("benign", "sport")],
        [("harmful", "art"), ("benign", "art")],
        [("harmful", None), ("benign", None)],
        [("harmful", "art"), (None, "music")],
    ],
    ids=["matched", "more benign topics", "one topic", "no topics", "no benign"],
)
def test_nothing_is_said_where_labels_meet_in_topics_or_nothing_is_known(rows) -> None:  # type: ignore[no-untyped-def]
    assert confounding(prompts(*rows)) is None
