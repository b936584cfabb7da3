"""Named arrays and a little JSON in one compressed blob, as safetensors inside zstd.

For everything that a database row or a file has to hold. Nothing is ever pickled.
"""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard
from safetensors.numpy import load, save

from analysis.errors import DamagedError

_MAX_BYTES = 2 << 30


def compress(data: bytes) -> bytes:
    """As one zstd frame with a checksum, so that a bit that has changed since is noticed when it is read."""
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(data)


def decompress(blob: bytes, most: int) -> bytes:
    """The inverse of `compress`, at most `most` bytes. Raises DamagedError for anything else."""
    try:
        # A frame says its own size, and zstandard believes it before it looks at any limit.
        declared = zstandard.frame_content_size(blob)
        if declared > most:
            raise DamagedError(f"a stored blob says that it holds {declared:,} bytes; at most {most:,} are read")
        return zstandard.decompress(blob, max_output_size=most)
    except zstandard.ZstdError as fault:
        raise DamagedError(f"a stored blob is damaged and cannot be read: {fault}") from fault


def pack(arrays: dict[str, npt.NDArray[Any]], meta: dict[str, Any]) -> bytes:
    """Compress `arrays` and `meta` (JSON-able) into one blob."""
    header = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    payload = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return compress(save({**payload, "__meta__": header}))


def unpack(blob: bytes) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """The inverse of `pack`. Raises DamagedError when the blob is damaged."""
    try:
        arrays = load(decompress(blob, _MAX_BYTES))
        meta = json.loads(arrays.pop("__meta__").tobytes())
    except Exception as fault:
        raise DamagedError(f"stored arrays are damaged and cannot be read: {fault}") from fault
    return arrays, meta
