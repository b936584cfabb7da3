"""The list of what a backup holds, with the digest of every file. It is the backup's first file, and a restore takes
nothing that it does not name.
"""

import json
import re
from importlib.metadata import version
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from analysis.errors import InputError

NAME = "manifest.json"
DATABASE, DUMP = "expertscope.db", "postgresql.dump"
MOST_BYTES = 1 << 28
"""A larger manifest is refused: it would list millions of files."""

_PLACES = re.compile(
    rf"{re.escape(DATABASE)}|{re.escape(DUMP)}"
    r"|runs/[0-9a-z]{1,12}/(shards|files)/[A-Za-z0-9][A-Za-z0-9._-]{0,200}"
)


class Entry(BaseModel):
    """One file: its place, its size in bytes, the digest of its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(max_length=300)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """Everything in a backup. `revision` is the database's schema, `expertscope` the version that wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["expertscope.backup/1"] = "expertscope.backup/1"
    expertscope: str = Field(default_factory=lambda: version("expertscope"), max_length=64)
    created: str = Field(max_length=40)
    database: Literal["sqlite", "postgresql"]
    revision: str = Field(max_length=32)
    files: tuple[Entry, ...]

    @model_validator(mode="after")
    def _plain_places(self) -> "Manifest":
        """Only the places that a backup has: no way out of the folder, nothing twice."""
        for entry in self.files:
            if not _PLACES.fullmatch(entry.path):
                raise ValueError(f"'{entry.path[:80]}' is no place of a backup")
        paths = {entry.path for entry in self.files}
        if len(paths) != len(self.files):
            raise ValueError("a file is listed twice")
        needed = DATABASE if self.database == "sqlite" else DUMP
        if needed not in paths:
            raise ValueError(f"{needed} is missing")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    def to_bytes(self) -> bytes:
        return (json.dumps(self.model_dump(), indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """Raises InputError for anything that is no manifest."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as fault:
            first = fault.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"{NAME} of the backup cannot be used: {place} {first['msg']}".strip()) from None
