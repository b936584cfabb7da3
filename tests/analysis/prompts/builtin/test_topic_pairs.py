"""What `builtin:topic-pairs` promises: enough pairs, matched in form and length, and no word that tells the label."""

import re
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from analysis.prompts import Label, PromptSet, load_prompts


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    return load_prompts("builtin:topic-pairs")


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def test_every_prompt_belongs_to_a_complete_pair(prompts):
    assert len(prompts.pairs) >= 250
    assert len(prompts) == 2 * len(prompts.pairs)


def test_a_pair_keeps_to_one_topic(prompts):
    assert all(pair.harmful.topic == pair.benign.topic for pair in prompts.pairs)


def test_there_are_at_least_25_topics_of_at_least_ten_pairs(prompts):
    pairs = Counter(pair.topic for pair in prompts.pairs)
    assert len(pairs) >= 25
    assert min(pairs.values()) >= 10


def test_no_prompt_occurs_twice(prompts):
    assert len({" ".join(words(prompt.text)) for prompt in prompts}) == len(prompts)


def test_the_two_sides_of_a_pair_have_the_same_form(prompts):
    for pair in prompts.pairs:
        harmful, benign = pair.harmful.text, pair.benign.text
        assert harmful.split()[0] == benign.split()[0]
        assert harmful[-1] == benign[-1]
        assert abs(len(harmful.split()) - len(benign.split())) <= 3, (harmful, benign)


def test_both_halves_are_equally_long(prompts):
    def mean_words(label: Label) -> float:
        return float(np.mean([len(prompt.text.split()) for prompt in prompts.labelled(label)]))

    assert mean_words("harmful") == pytest.approx(mean_words("benign"), rel=0.05)


def test_questions_requests_and_tellings_are_mixed_in_every_topic(prompts):
    for topic in prompts.topics:
        here = [pair.harmful.text for pair in prompts.pairs if pair.topic == topic]
        assert len({text.split()[0] for text in here}) >= 6, topic
        assert 3 <= sum(text.endswith("?") for text in here) <= 8, topic


def test_nothing_in_it_is_a_recipe(prompts):
    for prompt in prompts:
        assert not re.search(r"\d|https?:|www\.|@|%", prompt.text), prompt.text
        assert len(prompt.text) <= 120, prompt.text


def test_no_single_word_tells_the_label(prompts):
    harmful = Counter(word for prompt in prompts.labelled("harmful") for word in set(words(prompt.text)))
    benign = Counter(word for prompt in prompts.labelled("benign") for word in set(words(prompt.text)))
    half = len(prompts.pairs)
    for word in harmful | benign:
        # The share of prompts that "harmful if the word occurs, else benign" gets right, or the reverse.
        right = 0.5 + abs(harmful[word] - benign[word]) / (2 * half)
        assert right < 0.53, (word, harmful[word], benign[word])


def test_words_that_alarm_a_filter_occur_on_both_sides(prompts):
    benign = {word for prompt in prompts.labelled("benign") for word in words(prompt.text)}
    assert {"bomb", "kill", "steal", "poison", "forged", "doping", "secretly", "threats", "hide"} <= benign


def test_a_bag_of_words_learnt_on_other_topics_hardly_tells_the_label(prompts):
    texts = [prompt.text for prompt in prompts]
    harmful = np.array([prompt.label == "harmful" for prompt in prompts])
    topics = [prompt.topic for prompt in prompts]
    model = make_pipeline(CountVectorizer(binary=True), LogisticRegression(C=0.3, max_iter=2000))
    predicted = cross_val_predict(model, texts, harmful, groups=topics, cv=GroupKFold(9))
    assert np.mean(predicted == harmful) < 0.68
