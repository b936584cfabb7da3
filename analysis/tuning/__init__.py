"""Tuning: low-rank updates of selected experts, what they are compared with, and adapters that others can load.

The names are fetched when first asked for: a server that estimates or permits a trial needs `settings` or `stress`
alone, and neither loads torch, which takes seconds.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.tuning.adapters import export_adapter, load_adapter
    from analysis.tuning.controls import AttentionLora, SharedExpertLora
    from analysis.tuning.experts import ExpertLora
    from analysis.tuning.inspection import AdapterInspection, AdapterPart, ExpertChange, inspect_adapter
    from analysis.tuning.recipes import RECIPES
    from analysis.tuning.settings import TuneSettings
    from analysis.tuning.stress import StressPermit, StressPolicy, StressRecord, request_stress
    from analysis.tuning.trial import tune_trial
    from analysis.tuning.update import Update
else:
    from importlib import import_module

    _NAMES = {
        "analysis.tuning.adapters": "export_adapter load_adapter",
        "analysis.tuning.controls": "AttentionLora SharedExpertLora",
        "analysis.tuning.experts": "ExpertLora",
        "analysis.tuning.inspection": "AdapterInspection AdapterPart ExpertChange inspect_adapter",
        "analysis.tuning.recipes": "RECIPES",
        "analysis.tuning.settings": "TuneSettings",
        "analysis.tuning.stress": "StressPermit StressPolicy StressRecord request_stress",
        "analysis.tuning.trial": "tune_trial",
        "analysis.tuning.update": "Update",
    }
    _HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module 'analysis.tuning' has no attribute '{name}'")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "RECIPES",
    "AdapterInspection",
    "AdapterPart",
    "AttentionLora",
    "ExpertChange",
    "ExpertLora",
    "SharedExpertLora",
    "StressPermit",
    "StressPolicy",
    "StressRecord",
    "TuneSettings",
    "Update",
    "export_adapter",
    "inspect_adapter",
    "load_adapter",
    "request_stress",
    "tune_trial",
]
