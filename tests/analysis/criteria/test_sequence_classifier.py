"""The classifier learns what there is to learn, and never from the prompts that it is held against."""

import numpy as np
import torch

from analysis.criteria.sequence_classifier import SequenceReading, read_sequences
from analysis.routing.selected import SelectedIds

EXPERTS, MARK, TWIN = 8, 3, 5
TOPICS = [f"topic {i // 2 % 6}" for i in range(96)]
HARMFUL = [i % 2 == 0 for i in range(96)]


def sequences(marked: bool) -> SelectedIds:
    """Two layers, k = 1. In layer 1, one token of a harmful prompt goes to `MARK`, of a benign one to `TWIN`."""
    rng = np.random.default_rng(2)
    lengths = rng.integers(4, 9, len(HARMFUL))
    parts = []
    for length, harmful in zip(lengths, HARMFUL, strict=True):
        ids = rng.integers(0, 3, (length, 2, 1))
        if marked:
            ids[rng.integers(length), 1, 0] = MARK if harmful else TWIN
        parts.append(ids)
    return SelectedIds(np.concatenate(parts).astype(np.uint8), lengths.astype(np.int64), EXPERTS)


def read(selected: SelectedIds, harmful: list[bool] = HARMFUL, topics: list[str] = TOPICS) -> SequenceReading:
    return read_sequences(selected, harmful, topics, seed=0)


def test_experts_that_tell_harmful_from_benign_are_found() -> None:
    reading = read(sequences(marked=True))
    assert reading.accuracy > 0.95
    harmful = reading.attribution[reading.harmful].mean(0)
    benign = reading.attribution[~reading.harmful].mean(0)
    assert np.unravel_index(harmful.argmax(), harmful.shape) == (1, MARK)
    assert np.unravel_index(benign.argmin(), benign.shape) == (1, TWIN)


def test_where_nothing_tells_them_apart_the_accuracy_says_so() -> None:
    assert 0.3 < read(sequences(marked=False)).accuracy < 0.7


def test_experts_that_no_token_chose_get_nothing() -> None:
    assert (read(sequences(marked=True)).attribution[:, 0, 3:] == 0).all()


def test_a_prompt_is_read_without_its_own_topics_labels() -> None:
    """Other labels in one topic change no reading inside it."""
    selected = sequences(marked=True)
    swapped = [label != (topic == "topic 2") for label, topic in zip(HARMFUL, TOPICS, strict=True)]
    inside = np.array([topic == "topic 2" for topic in TOPICS])
    before, after = read(selected), read(selected, swapped)
    np.testing.assert_array_equal(before.logit[inside], after.logit[inside])
    assert (before.logit[~inside] != after.logit[~inside]).any()


def test_the_same_seed_reads_the_same_and_leaves_the_global_generator_alone() -> None:
    selected = sequences(marked=True)
    torch.manual_seed(7)
    first = read(selected)
    drawn = torch.rand(1)
    torch.manual_seed(8)
    np.testing.assert_array_equal(read(selected).attribution, first.attribution)
    torch.manual_seed(7)
    assert torch.rand(1) == drawn


def test_two_clusters_are_two_folds() -> None:
    reading = read(sequences(marked=True), topics=[f"half {i // 48}" for i in range(96)])
    assert reading.accuracy > 0.9
