"""Fetches one prompt file of a dataset on the Hugging Face hub, or from its local cache when the hub is out of reach.

Called by `load_prompts` for `hf://` references, and by nothing else: no other part of the prompts uses the network. It
downloads one plain file; it runs no dataset script and reads no parquet.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.errors import InputError, NotFoundError, TooLargeError
from analysis.prompts.hub_files import choose_file

_REF = re.compile(r"hf://(?:datasets/)?(?P<id>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[^#\s]+))?(?:#(?P<part>\S.*))?")
_CARD = "README.md"
_WAIT_SECONDS = 15.0


@dataclass(frozen=True)
class DatasetRef:
    """`hf://ID[@revision][#part]`; `part` is `config/split`, `split`, or the path of a file."""

    id: str
    revision: str | None
    part: str | None

    @classmethod
    def parse(cls, ref: str) -> "DatasetRef":
        found = _REF.fullmatch(ref)
        if found is None:
            raise InputError(f"{ref[:200]!r} is not a dataset reference; expected hf://ID[@revision][#config/split]")
        return cls(found["id"], found["revision"], found["part"])

    def __str__(self) -> str:
        return f"the dataset {self.id}" + (f" at revision {self.revision}" if self.revision else "")


@dataclass(frozen=True)
class DatasetFile:
    """One file of a dataset: its path in the repository and its content."""

    path: str
    data: bytes


@dataclass(frozen=True)
class _Listing:
    """The files of one revision with their sizes in bytes, and how to get at one."""

    sizes: Mapping[str, int]
    fetch: Callable[[str], Path]

    def card(self) -> Mapping[str, Any]:
        """The front matter of the dataset card; empty when there is none, or none that can be read."""
        from huggingface_hub import metadata_load

        # A card is a convenience for naming files, and whatever is wrong with it, the file names remain.
        with suppress(Exception):
            metadata = metadata_load(self.fetch(_CARD)) if _CARD in self.sizes else None
            return metadata if isinstance(metadata, dict) else {}
        return {}


def load_dataset_file(ref: str, *, max_bytes: int, endpoint: str | None = None) -> DatasetFile:
    """The file that `ref` names. `endpoint` is the address of another hub than the configured one.

    Raises `NotFoundError` when the dataset, the revision or the part is not to be had (offline included), `InputError`
    when `part` leaves several files to choose from, `TooLargeError` above `max_bytes`.
    """
    wanted = DatasetRef.parse(ref)
    listing = _online(wanted, endpoint) or _cached(wanted)
    if listing is None:
        remedy = "connect once, or download the file and give its path"
        raise NotFoundError(f"{wanted} is not in the local cache and the hub cannot be reached; {remedy}")
    path = choose_file(sorted(listing.sizes), wanted.part, listing.card() if wanted.part else {})
    if listing.sizes[path] > max_bytes:
        raise TooLargeError(f"{path} of {wanted} has {listing.sizes[path]:,} bytes; the limit is {max_bytes:,}")
    return DatasetFile(path, listing.fetch(path).read_bytes())


def _online(wanted: DatasetRef, endpoint: str | None) -> _Listing | None:
    """What the hub lists; None when it cannot be reached."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api = HfApi(endpoint=endpoint)
        info = api.dataset_info(wanted.id, revision=wanted.revision, files_metadata=True, timeout=_WAIT_SECONDS)
    except HfHubHTTPError as error:
        raise NotFoundError(f"the hub does not give {wanted}: {_first_line(error)}") from None
    except ValueError as error:
        raise InputError(f"{wanted} cannot be asked for: {_first_line(error)}") from None
    except Exception:  # the transport's own errors change with each generation of the hub's client
        return None
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    return _Listing(sizes, lambda path: _download(wanted, path, endpoint))


def _download(wanted: DatasetRef, path: str, endpoint: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(wanted.id, path, repo_type="dataset", revision=wanted.revision, endpoint=endpoint))
    except Exception as error:  # as above
        raise NotFoundError(f"{path} of {wanted} cannot be downloaded: {_first_line(error)}") from None


def _cached(wanted: DatasetRef) -> _Listing | None:
    """What an earlier download left in the hub's cache; None when nothing of that revision is there."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir().repos
    except CacheNotFound:
        return None
    revision = wanted.revision or "main"
    for repo in repos:
        for snapshot in repo.revisions if (repo.repo_type, repo.repo_id) == ("dataset", wanted.id) else ():
            if revision in snapshot.refs or revision == snapshot.commit_hash:
                sizes = {str(f.file_path.relative_to(snapshot.snapshot_path)): f.size_on_disk for f in snapshot.files}
                return _Listing(sizes, snapshot.snapshot_path.joinpath)
    return None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
