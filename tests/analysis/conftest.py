"""Tiny real checkpoints, built once per session and loaded the way a user's model is."""

from collections.abc import Callable
from functools import cache

import pytest

from analysis.models import LoadedModel, load_model
from analysis.prompts.prompt_set import Prompt, PromptSet
from tests.tiny_models import save_tiny_model

MOE_FAMILIES = ("qwen3_moe", "mixtral", "olmoe", "deepseek_v3", "gpt_oss")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], LoadedModel]:
    @cache
    def load(family: str) -> LoadedModel:
        return load_model(str(save_tiny_model(family, tmp_path_factory.mktemp("tiny") / family)))

    return load


@pytest.fixture(params=MOE_FAMILIES)
def model(request: pytest.FixtureRequest, tiny: Callable[[str], LoadedModel]) -> LoadedModel:
    return tiny(request.param)


@pytest.fixture(scope="session")
def some_prompts() -> PromptSet:
    """Of different lengths, so that every batch is padded."""
    return PromptSet("some", tuple(Prompt(f"p{i}", "ab " * (1 + (i * 3) % 7) + str(i)) for i in range(9)))
