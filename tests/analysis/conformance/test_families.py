"""Families are found by their source, whatever their classes are called."""

import re
from pathlib import Path

import pytest
import transformers

from analysis.conformance import families, family
from analysis.errors import NotFoundError


def test_every_class_of_experts_in_transformers_belongs_to_a_family() -> None:
    root = Path(transformers.__file__).parent / "models"
    lines = (line for file in root.glob("*/modeling_*.py") for line in file.read_text(encoding="utf-8").splitlines())
    classes = {found[1] for line in lines if (found := re.match(r"class (\w+Experts)\b", line))}
    assert classes == {name for one in families() for name in one.expert_classes}


def test_shared_in_a_class_name_does_not_hide_a_family() -> None:
    assert family("granitemoeshared").expert_classes == ("GraniteMoeSharedExperts",)


def test_text_models_come_before_models_with_images() -> None:
    assert family("llama4").model_types == ("llama4_text", "llama4")


def test_an_unknown_family_is_named_with_those_there_are() -> None:
    with pytest.raises(NotFoundError, match=r"family 'gpt2' has no experts in transformers .*mixtral"):
        family("gpt2")
