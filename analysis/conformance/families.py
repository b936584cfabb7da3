"""Every Mixture-of-Experts family of the installed transformers, found in its source and its auto classes.

A family is a folder of `transformers.models` that defines a class of experts; which class, and whether its name says
`Shared`, does not matter. Nothing is imported or built here.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import transformers
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, model_type_to_module_name

from analysis.errors import NotFoundError

_EXPERTS_CLASS = re.compile(r"^class (\w*Experts)\(", re.MULTILINE)
_WRITES_TEXT = (
    modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)
# A whole assistant with a voice: what reads and writes its text is built alone.
_PARTS = {"qwen3_omni_moe": ("qwen3_omni_moe_thinker",)}


@dataclass(frozen=True)
class Family:
    """`model_types` are the configurations of the family that transformers can build a text generator for: text alone
    first, then text with images or sound.
    """

    name: str
    expert_classes: tuple[str, ...]
    model_types: tuple[str, ...]


@cache
def families() -> tuple[Family, ...]:
    """All of them, by name."""
    root = Path(transformers.__file__).parent / "models"
    found = (
        (file.parent.name, tuple(_EXPERTS_CLASS.findall(file.read_text("utf-8"))))
        for file in root.glob("*/modeling_*.py")
    )
    return tuple(Family(name, classes, _model_types(name)) for name, classes in sorted(found) if classes)


def family(name: str) -> Family:
    """Raises NotFoundError with the names there are."""
    known = {one.name: one for one in families()}
    if name not in known:
        raise NotFoundError(
            f"family '{name}' has no experts in transformers {transformers.__version__}: "
            f"expected one of {', '.join(known)}"
        )
    return known[name]


def _model_types(name: str) -> tuple[str, ...]:
    if name in _PARTS:
        return _PARTS[name]
    own = [kind for kind in CONFIG_MAPPING if model_type_to_module_name(kind) == name]
    usable = [kind for kind in own if any(kind in mapping for mapping in _WRITES_TEXT)]
    return tuple(sorted(usable, key=lambda kind: (not kind.endswith("_text"), kind)))
