"""Keeps the last loaded model in memory, because most runs use the model of the run before.

Only the worker owns one. It holds a single model: a second one of equal size would not fit where the first was chosen
to fit.
"""

import gc
from dataclasses import dataclass
from pathlib import Path

import structlog

from analysis.models import LoadedModel, load_model

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ModelKey:
    """What makes two loaded models the same; `files` notices a folder that was written again."""

    ref: str
    revision: str | None
    device: str
    files: tuple[tuple[str, int, int], ...]


class WarmModel:
    """At most one loaded model."""

    def __init__(self) -> None:
        self._key: ModelKey | None = None
        self._model: LoadedModel | None = None

    def get(self, ref: str, revision: str | None, device: str) -> LoadedModel:
        """The model of that reference, loaded unless it is the one at hand. Raises what `load_model` raises."""
        key = ModelKey(ref, revision, device, _files(ref))
        if self._model is None or key != self._key:
            self.drop()
            self._model = load_model(ref, revision=revision, device=device)
            self._key = key
            log.info("model loaded", ref=ref, revision=revision, device=str(self._model.device))
        return self._model

    def drop(self) -> None:
        """Give the memory back."""
        if self._model is None:
            return
        self._key = self._model = None
        self.free_cache()

    def free_cache(self) -> None:
        """Give back what computing has left in memory; the model stays."""
        gc.collect()
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _files(ref: str) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of every file of a local folder; nothing for a hub id or an organism."""
    folder = Path(ref).expanduser()
    if not folder.is_dir():
        return ()
    stats = ((path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file())
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
