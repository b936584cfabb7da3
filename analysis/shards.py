"""Where an audit keeps the pieces of its expensive work, so that a killed audit goes on from its last piece.

`analysis.audit` asks a store for each piece by key: what is there is read, what is not is computed and kept. The
command line passes `MemoryShards`, the worker a durable store on a folder (`FolderShards`). A store knows nothing of
what a shard means, and never decides which shards there are.
"""

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Shard:
    """Named arrays of any shape, and whatever else JSON can carry.

    `meta` is passed through JSON at once (tuples become lists, keys become strings), so that a shard that was just
    computed and the same shard read back from a file are equal.
    """

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "meta", json.loads(json.dumps(self.meta)))

    @cached_property
    def sha256(self) -> str:
        """Digest of every name, dtype, shape, value and of `meta`; it does not depend on the file format."""
        digest = hashlib.sha256(json.dumps(self.meta, sort_keys=True).encode())
        for name, array in sorted(self.arrays.items()):
            digest.update(json.dumps([name, array.dtype.str, list(array.shape)]).encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


class ShardStore(Protocol):
    """What `analysis.audit` needs of a store."""

    def once(self, key: str, compute: Callable[[], Shard]) -> Shard:
        """The shard stored under `key`; where there is none, `compute()` is called and its result kept."""
        ...


class MemoryShards:
    """A store that lives and dies with the process."""

    def __init__(self) -> None:
        self._shards: dict[str, Shard] = {}

    def once(self, key: str, compute: Callable[[], Shard]) -> Shard:
        if key not in self._shards:
            self._shards[key] = compute()
        return self._shards[key]


class DamagedShardError(Exception):
    """A shard's file is not what was written."""


Report = Callable[[str, str], None]


def log_damage(key: str, reason: str) -> None:
    logger.warning("shard %s is damaged (%s): computing it again", key, reason)


class FolderShards:
    """One safetensors file per shard, written whole or not at all, and verified whenever it is read.

    A damaged file is never trusted: `damaged(key, reason)` is told and the shard is computed again.
    """

    def __init__(self, folder: Path, *, damaged: Report = log_damage) -> None:
        self.folder = folder
        self._damaged = damaged

    def once(self, key: str, compute: Callable[[], Shard]) -> Shard:
        stored = self.read(key)
        if stored is not None:
            return stored
        shard = compute()
        self.write(key, shard)
        return shard

    def path(self, key: str) -> Path:
        """Raises ValueError when the key is no plain file name."""
        if not _KEY.fullmatch(key):
            raise ValueError(
                f"shard key {key!r}: expected letters, digits, '.', '_' and '-' only, such as capture-0003"
            )
        return self.folder / f"{key}.safetensors"

    def read(self, key: str) -> Shard | None:
        """The stored shard; None when there is none, or a damaged one."""
        path = self.path(key)
        if not path.exists():
            return None
        try:
            return _decode(path.read_bytes())
        except DamagedShardError as error:
            self._damaged(key, str(error))
            return None

    def write(self, key: str, shard: Shard) -> None:
        """Replace the shard in one step: a reader, or a kill at any moment, finds the old file or the new one."""
        with self.draft(key, shard) as put:
            put()

    @contextmanager
    def draft(self, key: str, shard: Shard) -> Iterator[Callable[[], None]]:
        """The shard as a file beside its place, on disk already; calling what the block is given puts it there. Without
        the call nothing changes."""
        path = self.path(key)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=f".{key}.", delete=False) as file:

            def put() -> None:
                os.replace(file.name, path)
                _sync_folder(self.folder)

            try:
                file.write(_encode(shard))
                file.flush()
                os.fsync(file.fileno())
                yield put
            finally:
                Path(file.name).unlink(missing_ok=True)

    def clear_drafts(self) -> None:
        """Delete what killed writers left beside the shards. Only for the one who may write here."""
        for left in self.folder.glob(".*"):
            left.unlink(missing_ok=True)


def _encode(shard: Shard) -> bytes:
    # safetensors writes the buffer as it lies in memory, so a transposed view has to be laid out first.
    arrays = {name: np.asarray(array, order="C") for name, array in shard.arrays.items()}
    return save(arrays, metadata={"meta": json.dumps(shard.meta), "sha256": shard.sha256})


def _decode(data: bytes) -> Shard:
    try:
        arrays, header = load(data), _header(data)
        shard, sha256 = Shard(arrays, json.loads(header["meta"])), header["sha256"]
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedShardError(f"{type(error).__name__} while reading it") from error
    if shard.sha256 != sha256:
        raise DamagedShardError("its contents do not have the sha256 that was written with them")
    return shard


def _header(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file; `safetensors.numpy.load` leaves it out."""
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return metadata


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
