"""Finds out which file of a dataset repository the `#config/split` of a reference means. No network, no disk."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from analysis.errors import InputError, NotFoundError
from analysis.prompts.importers import FORMATS

_NOT_PROMPTS = ("dataset_info.json", "dataset_infos.json", "license.txt", "requirements.txt")
_MAX_LISTED = 12


def choose_file(paths: Sequence[str], part: str | None, card: Mapping[str, Any]) -> str:
    """The one file of `paths` that `part` names: by its path, by the card's `configs`, else by words in the path.

    Raises `NotFoundError` when there is none that can be read, `InputError` when there are several.
    """
    fitting = _fitting(paths, part, card)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        found = f"the dataset has {len(fitting)} files that fit: {_listed(fitting)}"
        raise InputError(f"{found}; choose one with #PATH or #config/split")
    wanted = f"a file for '#{part}'" if part else "a file"
    raise NotFoundError(
        f"the dataset has no {wanted} ending in {', '.join(FORMATS)}; found {_listed(paths) or 'nothing'}"
    )


def _fitting(paths: Sequence[str], part: str | None, card: Mapping[str, Any]) -> list[str]:
    if part in paths:
        return [path for path in paths if path == part]
    readable = [path for path in paths if _readable(path)]
    if part is None:
        return readable
    return _by_card(readable, part, card) or _by_words(readable, part)


def _readable(path: str) -> bool:
    file = PurePosixPath(path)
    return file.suffix.lower() in FORMATS and file.name.lower() not in _NOT_PROMPTS and not path.startswith(".")


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(paths[:_MAX_LISTED]) + (" …" if len(paths) > _MAX_LISTED else "")


def _by_card(paths: Sequence[str], part: str, card: Mapping[str, Any]) -> list[str]:
    """The files that the dataset card's front matter gives to the configuration and split."""
    config, _, split = part.rpartition("/")
    patterns: list[str] = []
    for entry in card.get("configs") or ():
        if isinstance(entry, dict) and config in ("", entry.get("config_name")):
            patterns += _patterns(entry.get("data_files"), split)
    return [path for path in paths if any(fnmatch(path, pattern) for pattern in patterns)]


def _patterns(data_files: object, split: str) -> Iterator[str]:
    """A card gives a path, a list of paths (both mean the split "train"), or a list of {split, path}."""
    for entry in data_files if isinstance(data_files, list) else [data_files]:
        there, path = (entry.get("split"), entry.get("path")) if isinstance(entry, dict) else ("train", entry)
        if there == split:
            yield from (str(item) for item in (path if isinstance(path, list) else [path]))


def _by_words(paths: Sequence[str], part: str) -> list[str]:
    """The files in whose path every word of `part` occurs; the configuration "default" says nothing."""
    wanted = {word for word in part.lower().split("/") if word != "default"}
    return [path for path in paths if wanted <= _words(path.lower())]


def _words(path: str) -> set[str]:
    """The path's folders and names, whole and in pieces: {"data", "or-bench.csv", "or-bench", "or", "bench", "csv"}."""
    folders = path.split("/")
    return {*folders, PurePosixPath(path).stem, *re.split(r"[/._-]", path)}
