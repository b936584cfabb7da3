from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.prompts import PromptSet, load_prompts


@pytest.fixture
def published(shared_data: Path) -> Callable[[str], PromptSet]:
    """Loads a file of a public set as it was published; skips where those files are not at hand."""

    def load(path: str) -> PromptSet:
        file = shared_data / "prompt_sets" / path
        if not file.is_file():
            pytest.skip(f"the published file {path} is not in ../shared/data/prompt_sets")
        return load_prompts(str(file))

    return load
