"""Named arrays and a little JSON in one compressed blob, as safetensors inside zstd.

For everything that a database row or a file has to hold. Nothing is ever pickled.
"""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard
from safetensors.numpy import load, save

from analysis.errors import ExpertScopeError

_MAX_BYTES = 2 << 30


def pack(arrays: dict[str, npt.NDArray[Any]], meta: dict[str, Any]) -> bytes:
    """Compress `arrays` and `meta` (JSON-able) into one blob."""
    header = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    payload = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return zstandard.compress(save({**payload, "__meta__": header}), 3)


def unpack(blob: bytes) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """The inverse of `pack`. Raises ExpertScopeError when the blob is damaged."""
    try:
        arrays = load(zstandard.decompress(blob, max_output_size=_MAX_BYTES))
        meta = json.loads(arrays.pop("__meta__").tobytes())
    except Exception as fault:
        raise ExpertScopeError(f"stored arrays are damaged and cannot be read: {fault}") from fault
    return arrays, meta
