"""One file for each architecture that opens its experts in a way of its own; `Adapter` is the way of all others."""

from typing import Any

from analysis.models.adapters.base import Adapter, Contribution, ExpertsCall, MoeLayer, Scoring, Selection
from analysis.models.adapters.cohere2_moe import Cohere2Moe
from analysis.models.adapters.dbrx import Dbrx
from analysis.models.adapters.deepseek_v4 import DeepseekV4
from analysis.models.adapters.ernie4_5 import Ernie45, Ernie45Vl
from analysis.models.adapters.gemma4 import Gemma4
from analysis.models.adapters.gpt_oss import GptOss
from analysis.models.adapters.inkling import Inkling
from analysis.models.adapters.jetmoe import JetMoe
from analysis.models.adapters.llama4 import Llama4
from analysis.models.adapters.longcat_flash import LongcatFlash
from analysis.models.adapters.sigmoid import SigmoidScores
from analysis.models.adapters.zaya import Zaya

__all__ = ["Adapter", "Contribution", "ExpertsCall", "MoeLayer", "Scoring", "Selection", "adapter_for"]

_ODD: tuple[type[Adapter], ...] = (
    Cohere2Moe,
    Dbrx,
    DeepseekV4,
    Ernie45,
    Ernie45Vl,
    Gemma4,
    GptOss,
    Inkling,
    JetMoe,
    Llama4,
    LongcatFlash,
    SigmoidScores,
    Zaya,
)
_BY_FAMILY = {family: adapter() for adapter in _ODD for family in adapter.families}
_USUAL = Adapter()


def adapter_for(config: Any) -> Adapter:
    """The adapter of a model's text configuration."""
    return _BY_FAMILY.get(str(config.model_type), _USUAL)
