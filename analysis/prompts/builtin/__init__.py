"""The prompt sets that come with ExpertScope, each a CSV file that the importer reads like anybody else's.

`topic-pairs` lies in this folder: harmful and benign prompts over everyday topics, paired by topic and form. `organism`
stands for the matched set that was made with a model organism and lies beside its weights.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable

from analysis.errors import NotFoundError
from analysis.prompts.importers import parse_prompts
from analysis.prompts.prompt_set import PromptSet

__all__ = ["builtin_names", "load_builtin"]

_FILES = {"topic-pairs": "topic_pairs.csv"}
_ORGANISM = "organism"


def builtin_names() -> tuple[str, ...]:
    """Every NAME for which `builtin:NAME` can be loaded, in alphabetical order."""
    return tuple(sorted((*_FILES, _ORGANISM)))


def load_builtin(name: str, *, organism: str = "planted") -> PromptSet:
    """The built-in set `name`; `organism` says whose set "organism" is. Raises `NotFoundError` for an unknown name."""
    if name == _ORGANISM:
        return _organism_set(organism)
    if name not in _FILES:
        raise NotFoundError(f"there is no built-in prompt set '{name[:80]}'; there are: {', '.join(builtin_names())}")
    return parse_prompts(files("analysis.prompts.builtin").joinpath(_FILES[name]).read_bytes(), _FILES[name], name=name)


def _organism_set(organism: str) -> PromptSet:
    folders = _organism_folders()
    if organism not in folders:
        there = ", ".join(sorted(folders)) or "none"
        raise NotFoundError(f"there is no prompt set for the organism '{organism[:80]}'; there are: {there}")
    data = folders[organism].joinpath("prompts.csv").read_bytes()
    return parse_prompts(data, "prompts.csv", name=f"organism:{organism}")


def _organism_folders() -> dict[str, Traversable]:
    """The folders of the organisms that have a prompt set, by name."""
    weights = files("analysis").joinpath("organisms", "weights")
    if not weights.is_dir():
        return {}
    return {folder.name: folder for folder in weights.iterdir() if folder.joinpath("prompts.csv").is_file()}
