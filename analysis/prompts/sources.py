"""Finds a prompt set by its reference: a file, `builtin:NAME`, or `hf://ID[@revision][#config/split]`.

The command line and the services call it. Only an `hf://` reference ever asks the network for anything.
"""

from pathlib import Path

from analysis.errors import InputError, NotFoundError, TooLargeError
from analysis.prompts.builtin import load_builtin
from analysis.prompts.hub import load_dataset_file
from analysis.prompts.importers import parse_prompts
from analysis.prompts.importers.text import shown
from analysis.prompts.prompt_set import PromptSet

_BUILTIN, _HUB = "builtin:", "hf://"
_MAX_FILE_BYTES = 256 * 2**20


def load_prompts(ref: str, *, organism: str = "planted") -> PromptSet:
    """The prompt set that `ref` names; `organism` is the one whose set `builtin:organism` is.

    Raises `NotFoundError` when nothing is there, `InputError` for a folder or a device, `TooLargeError` for a file
    above 256 MiB, and `PromptFileError` for a file with faults.
    """
    if ref.startswith(_BUILTIN):
        return load_builtin(ref.removeprefix(_BUILTIN), organism=organism)
    if ref.startswith(_HUB):
        file = load_dataset_file(ref, max_bytes=_MAX_FILE_BYTES)
        return parse_prompts(file.data, file.path, name=ref)
    return parse_prompts(_read(ref), ref)


def _read(ref: str) -> bytes:
    path, named = Path(ref), f"'{shown(ref, limit=200)}'"
    try:
        if path.is_dir():
            raise InputError(f"{named} is a folder; expected a prompt file (CSV, JSONL, JSON or txt) in it")
        if not path.exists():
            raise NotFoundError(f"there is no file {named}; expected a prompt file, builtin:NAME or hf://ID")
        if not path.is_file():
            raise InputError(f"{named} is not a regular file; expected a prompt file (CSV, JSONL, JSON or txt)")
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise TooLargeError(f"{named} has {path.stat().st_size / 2**20:,.0f} MiB; the limit is 256 MiB")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise InputError(f"{named} cannot be read: {getattr(error, 'strerror', None) or error}") from None
