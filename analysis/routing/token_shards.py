"""Kept tokens as the arrays of a shard, and back: sequences of different lengths, one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.routing.token_keeper import KeptTokens

Kept = Mapping[int, KeptTokens]
"""By the row of the prompt."""


def kept_arrays(kept: Kept) -> dict[str, npt.NDArray[Any]]:
    """Empty for none, so that a shard without single tokens is what it always was."""
    if not kept:
        return {}
    sequences = list(kept.values())
    return {
        "kept_rows": np.array(list(kept), dtype=np.int64),
        "kept_prompt": np.array([one.prompt for one in sequences], dtype=np.int64),
        "kept_length": np.array([len(one.tokens) for one in sequences], dtype=np.int64),
        "kept_tokens": np.concatenate([np.array(one.tokens, dtype=np.int64) for one in sequences]),
        "kept_ids": np.concatenate([one.ids for one in sequences], axis=1),
        "kept_weights": np.concatenate([one.weights for one in sequences], axis=1),
    }


def kept_tokens_of(shards: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[int, KeptTokens]:
    """What `kept_arrays` put into some shards, in the order of the rows."""
    found: dict[int, KeptTokens] = {}
    for arrays in shards:
        if "kept_rows" in arrays:
            found.update(_read(arrays))
    return dict(sorted(found.items()))


def _read(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[int, KeptTokens]:
    ends = np.cumsum(arrays["kept_length"])
    starts = ends - arrays["kept_length"]
    places = zip(arrays["kept_rows"].tolist(), arrays["kept_prompt"].tolist(), starts, ends, strict=True)
    return {
        row: KeptTokens(
            tuple(arrays["kept_tokens"][start:end].tolist()),
            prompt,
            np.ascontiguousarray(arrays["kept_ids"][:, start:end]),
            np.ascontiguousarray(arrays["kept_weights"][:, start:end]),
        )
        for row, prompt, start, end in places
    }
