"""The archive itself: a zip file that begins with a manifest of every other file in it, with size and digest.

What is read may come from anywhere: only files that the manifest lists, no more bytes than they declare and the
settings allow, nothing that unpacks to hundreds of times its size, and no name ever becomes a path.
"""

import hashlib
import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import IO, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analysis.errors import InputError, TooLargeError

MANIFEST = "manifest.json"
MOST_FILES = 300_000
MOST_RATIO = 200
"""Text shrinks to a twentieth. What unpacks to more than this many times its size is made to fill a disk."""
_SMALL = 1 << 20
_MOST_MANIFEST = 1 << 27
_NAME = re.compile(r"[a-z]+(/[A-Za-z0-9][A-Za-z0-9._-]{0,100}){0,2}(\.[a-z]+)?")
_STORED = (".zst", ".zip", ".safetensors")


class File(BaseModel):
    """One file of the archive."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(max_length=200)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """`document` names the file with the run's report or document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["expertscope.run/1"] = "expertscope.run/1"
    expertscope: str = Field(default_factory=lambda: version("expertscope"), max_length=64)
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"), max_length=40)
    revision: str = Field(max_length=32)
    document: str = Field(max_length=200)
    files: tuple[File, ...] = Field(max_length=MOST_FILES)


class Packer:
    """Writes one archive, for one block; `finish` adds the manifest."""

    def __init__(self, target: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)
        self._files: list[File] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def add(self, name: str, pieces: Iterable[bytes]) -> None:
        """What is compressed already is stored as it is."""
        info = zipfile.ZipInfo(name)  # without a date: the same run gives the same bytes
        info.compress_type = zipfile.ZIP_STORED if name.endswith(_STORED) else zipfile.ZIP_DEFLATED
        digest, size = hashlib.sha256(), 0
        with self._zip.open(info, "w", force_zip64=True) as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
        self._files.append(File(name=name, size=size, sha256=digest.hexdigest()))

    def finish(self, revision: str, document: str) -> None:
        manifest = Manifest(revision=revision, document=document, files=tuple(self._files))
        self._zip.writestr(MANIFEST, manifest.model_dump_json(indent=1))


class Unpacker:
    """Reads one archive. Raises InputError, or TooLargeError, for whatever is not one or would be too much."""

    def __init__(self, source: IO[bytes], most_bytes: int) -> None:
        try:
            self._zip = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as fault:
            raise InputError(f"the archive is no zip file, or is cut off: {fault}", field="file") from fault
        self._infos = self._checked(most_bytes)
        self.manifest = self._read_manifest()
        self._files = {file.name: file for file in self.manifest.files}
        self._check_listed()

    def read(self, name: str) -> bytes:
        """A file of the archive, whole. Raises InputError for one that is missing or not what the manifest lists."""
        file = self._files.get(name)
        if file is None:
            raise InputError(f"the archive has no '{name}'", field="file")
        data = b"".join(self._pieces(name, file.size))
        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            raise InputError(f"'{name}' in the archive is damaged: its size or sha256 is not the one listed")
        return data

    def names(self, folder: str) -> list[str]:
        """The files below `folder/`, in the order of their names."""
        return sorted(name for name in self._files if name.startswith(f"{folder}/"))

    def _checked(self, most_bytes: int) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        if len(infos) > MOST_FILES:
            raise TooLargeError(f"the archive has {len(infos):,} files: at most {MOST_FILES:,} are read")
        declared = sum(info.file_size for info in infos)
        if declared > most_bytes:
            raise TooLargeError(
                f"the archive unpacks to {declared:,} bytes and at most {most_bytes:,} are taken: "
                "EXPERTSCOPE_ARCHIVE_LIMIT_BYTES sets the limit",
                field="file",
            )
        for info in infos:
            _check_member(info)
        found = {info.filename: info for info in infos}
        if len(found) != len(infos):
            raise InputError("the archive has two files of the same name", field="file")
        return found

    def _read_manifest(self) -> Manifest:
        if MANIFEST not in self._infos:
            raise InputError(f"the archive is not one of a run: it has no {MANIFEST}", field="file")
        try:
            return Manifest.model_validate_json(b"".join(self._pieces(MANIFEST, _MOST_MANIFEST)))
        except ValidationError as fault:
            first = fault.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise InputError(f"{MANIFEST} of the archive cannot be used: {where} {first['msg']}".strip()) from None

    def _check_listed(self) -> None:
        unlisted = {*self._infos} - {*self._files, MANIFEST}
        missing = {*self._files} - {*self._infos}
        if unlisted or missing:
            name = min(unlisted or missing)
            fault = f"holds '{name}', which {MANIFEST} does not list" if unlisted else f"lacks '{name}'"
            raise InputError(f"the archive {fault}", field="file")

    def _pieces(self, name: str, most: int) -> Iterator[bytes]:
        """At most `most` bytes and a few more, whatever the archive declares."""
        count = 0
        try:
            with self._zip.open(self._infos[name]) as file:
                while count <= most and (piece := file.read(min(_SMALL, most + 1 - count))):
                    count += len(piece)
                    yield piece
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as fault:
            raise InputError(f"'{name}' in the archive is damaged: {fault}", field="file") from fault
        except Exception as fault:  # zlib.error and its like, which have no common root
            raise InputError(f"'{name}' in the archive cannot be unpacked: {fault}", field="file") from fault


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.filename
    if info.is_dir() or not _NAME.fullmatch(name):
        raise InputError(f"the archive holds '{name[:80]}', which is no file of a run's archive", field="file")
    if info.flag_bits & 1:
        raise InputError(f"'{name}' in the archive is encrypted: export the run anew", field="file")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"'{name}' in the archive is compressed in a way that is not used here", field="file")
    if info.file_size > _SMALL and info.file_size > MOST_RATIO * max(info.compress_size, 1):
        raise TooLargeError(f"'{name}' in the archive unpacks to {info.file_size:,} bytes from {info.compress_size:,}")
