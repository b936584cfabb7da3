"""What explains an expert's use: the columns are the right ones, and what cannot be told apart is withheld."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from analysis import capture, load_model, load_prompts
from analysis.errors import WithheldError
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.explained import explained
from analysis.routing.trace import CaptureSettings


def test_a_real_trace_agrees_with_statsmodels() -> None:
    everything = load_prompts("builtin:organism")
    some = tuple(p for i, p in enumerate(everything) if i % 5 and p.topic in everything.topics[:4])
    trace = capture(
        load_model("organism:planted", device="cpu"), PromptSet("some", some), CaptureSettings(max_new_tokens=0)
    )
    frequency = trace.frequency[:, 0]
    found = explained(frequency, [p.label for p in some], [p.topic for p in some])
    assert found.prompts == len(some)
    for layer, expert in ((0, 1), (1, 15), (2, 10), (3, 4)):
        frame = pd.DataFrame(
            {
                "f": frequency[:, layer, expert].astype(float),
                "topic": [p.topic for p in some],
                "harm": [p.label for p in some],
            }
        )
        table = anova_lm(ols("f ~ C(topic) * C(harm)", frame).fit(), typ=2)["sum_sq"]
        total = ((frame.f - frame.f.mean()) ** 2).sum()
        assert found.topic[layer, expert] == pytest.approx(table["C(topic)"] / total, abs=1e-6)
        assert found.harm[layer, expert] == pytest.approx(table["C(harm)"] / total, abs=1e-6)
        assert found.interaction[layer, expert] == pytest.approx(table["C(topic):C(harm)"] / total, abs=1e-6)
    assert np.nanmedian(found.topic) > np.nanmedian(found.harm) + found.chance["topic"]


def test_an_expert_of_harm_and_one_of_topic_are_told_apart() -> None:
    labels = ["harmful", "benign"] * 8
    topics = [name for name in "abcd" for _ in range(4)]
    frequency = np.zeros((16, 1, 3))
    frequency[:, 0, 0] = [label == "harmful" for label in labels]
    frequency[:, 0, 1] = [topic == "b" for topic in topics]
    found = explained(frequency, labels, topics)
    np.testing.assert_allclose(found.topic[0], [0, 1, np.nan], atol=1e-12)
    np.testing.assert_allclose(found.harm[0], [1, 0, np.nan], atol=1e-12)
    assert found.chance == {"topic": 3 / 15, "harm": 1 / 15, "interaction": 3 / 15}
    assert "every prompt uses the expert alike" in found.withheld["experts.details.eta_topic"]


@pytest.mark.parametrize(
    ("labels", "topics", "why"),
    [
        (["harmful", "benign"] * 2, ["a"] * 4, "of two topics or more"),
        (["benign"] * 4, ["a", "a", "b", "b"], "harmful and benign prompts"),
        (["harmful", "harmful", "benign", "benign"], ["a", "a", "b", "b"], "cannot be told apart"),
        ([None] * 4, [None] * 4, "harmful and benign prompts"),
    ],
)
def test_what_cannot_be_told_apart_is_withheld(labels: list, topics: list, why: str) -> None:
    with pytest.raises(WithheldError, match=why):
        explained(np.random.default_rng(0).random((4, 1, 2)), labels, topics)


def test_prompts_without_label_or_topic_are_left_out() -> None:
    rng = np.random.default_rng(0)
    frequency = rng.random((10, 1, 1))
    labels = [*["harmful", "benign"] * 4, None, "benign"]
    topics = [*"aaaabbbb", "a", None]
    assert explained(frequency, labels, topics).topic == explained(frequency[:8], labels[:8], topics[:8]).topic
