"""PEFT adapters: what one touches, told from its files alone. Nothing is loaded into a model and nothing is kept."""

from typing import Any

from analysis.errors import InputError
from backend.access import require
from backend.services.folders import resolved
from backend.services.models import Models


class Adapters:
    """Looks into adapter folders, where models may come from too."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def inspect(self, folder: str, model: str | None = None) -> dict[str, Any]:
        """What the adapter in `folder` changes, as `AdapterInspection.as_dict()`. With `model`, an id or reference, its
        modules are looked up instead of told by their names.

        Raises InputError for a folder outside the permitted roots, and whatever `inspect_adapter` raises.
        """
        require("adapters.inspect")
        from analysis.tuning import inspect_adapter  # torch takes seconds, which a start need not wait for

        if not folder.strip():
            raise InputError("adapter is empty: give the folder that save_pretrained made", field="folder")
        path = resolved(folder.strip(), "folder")
        self._models.check_root(path, field="folder")
        ref = None
        if model is not None and model.strip():
            found = self._models.find(model.strip())
            ref = found.ref + (f"@{found.revision}" if found.revision else "")
        return inspect_adapter(path, model=ref).as_dict()
