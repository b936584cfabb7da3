"""Do the prompts let harm be told apart from topic at all? Ours.

A label is compared with its opposite inside a topic, or not at all: where the harmful prompts are of topics that no
benign prompt has, whatever follows the topic looks as if it followed the harm. Called by the report.
"""

from analysis.prompts.balance import ENOUGH
from analysis.prompts.prompt_set import Label, PromptSet

LABELS: tuple[Label, Label] = ("harmful", "benign")


def confounding(prompts: PromptSet) -> str | None:
    """Why topic and harm cannot be told apart with these prompts, or None when they can or nothing is known.

    Prompts without a topic or a label do not count; with one topic there is none to be mistaken for harm.
    """
    harmful, benign = ([p.topic for p in prompts.labelled(label) if p.topic] for label in LABELS)
    if not harmful or not benign or len({*harmful, *benign}) < 2:
        return None
    share = sum(topic in benign for topic in harmful) / len(harmful)
    if share >= ENOUGH:
        return None
    if share == 0:
        return "no topic has both harmful and benign prompts"
    return f"only {share:.0%} of the harmful prompts are of a topic that benign prompts have".replace("%", " %")
