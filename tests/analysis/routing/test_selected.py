"""Selections of single tokens against the trace's counts."""

import numpy as np

from analysis.models import LoadedModel
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.recorder import PROMPT
from analysis.routing.selected import SelectedIds, selected_ids
from analysis.routing.trace import CaptureSettings, capture


def test_ids_add_up_to_the_counts_of_the_trace(model: LoadedModel, some_prompts: PromptSet) -> None:
    trace = capture(model, some_prompts, CaptureSettings(max_new_tokens=0))
    found = selected_ids(model, some_prompts.prompts, batch_tokens=64, last_tokens=10_000)
    assert found.lengths.tolist() == trace.tokens[:, PROMPT].tolist()
    for row, ids in enumerate(found.prompts()):
        for layer in range(len(trace.layers)):
            counts = np.bincount(ids[:, layer].ravel(), minlength=found.experts)
            assert counts.tolist() == trace.selections[row, PROMPT, layer].tolist()


def test_only_the_last_tokens_are_kept(model: LoadedModel, some_prompts: PromptSet) -> None:
    whole = selected_ids(model, some_prompts.prompts, batch_tokens=64, last_tokens=10_000)
    end = selected_ids(model, some_prompts.prompts, batch_tokens=64, last_tokens=3)
    for long, short in zip(whole.prompts(), end.prompts(), strict=True):
        np.testing.assert_array_equal(long[-3:], short)


def test_they_are_kept_in_the_smallest_type_and_survive_a_shard() -> None:
    ids = np.array([[[255, 256]]], dtype=np.min_scalar_type(256))
    found = SelectedIds.from_shard(SelectedIds(ids, np.array([1]), 256).to_shard())
    assert found.ids.dtype == np.uint16
    np.testing.assert_array_equal(found.ids, ids)
    assert found.experts == 256
