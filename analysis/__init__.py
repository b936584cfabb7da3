"""The science of ExpertScope: prompts in, a report out. It knows nothing of web, database or settings.

For researchers the public names are here, in the order in which a study asks for them: `load_model`, `load_prompts`,
`capture`, `contrasts`, `score`, `refusal_bench`, `mask`, `run_audit`. They are fetched when first asked for, so that
`import analysis` costs nothing; torch and transformers are imported by the first name that needs them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis import errors, statistics
    from analysis.audit import AuditSettings
    from analysis.audit import audit as run_audit
    from analysis.comparing import Comparison, compare_audits
    from analysis.criteria import CRITERIA, Criterion, CriterionInfo, Evidence
    from analysis.detectors import DETECTORS, Detector, DetectorInfo
    from analysis.detectors.detection import Detection, detect
    from analysis.detectors.trained import TrainedDetector, load_detector
    from analysis.evidence.bench import Bench, Effects
    from analysis.evidence.split import Halves, halves
    from analysis.forcing import force_answers
    from analysis.interventions import mask
    from analysis.models import ExpertId, LoadedModel, ModelDescription, SeamListener, inspect_model, load_model
    from analysis.organisms import organism_names, organism_path, train_organism
    from analysis.outcomes.comparison import compare_outcomes
    from analysis.outcomes.measures import Measured, measure
    from analysis.prompts import Prompt, PromptSet, builtin_names, load_prompts, parse_prompts
    from analysis.result import Answer, AuditResult
    from analysis.routing.certificate import Certificate
    from analysis.routing.coactivation import Coactivation
    from analysis.routing.determinism import Determinism, determinism
    from analysis.routing.forced import ForcedPair, capture_forced
    from analysis.routing.saturation import Saturation, saturation
    from analysis.routing.summary import routing_table
    from analysis.routing.table import RoutingTable
    from analysis.routing.token_trace import TokenTrace
    from analysis.routing.token_tracing import trace_tokens
    from analysis.routing.topic_safety import TopicSafety
    from analysis.routing.topics import TopicSpecialisation, topic_specialisation
    from analysis.routing.trace import CaptureSettings, Trace, capture
    from analysis.routing.vocabulary import Vocabulary
    from analysis.shards import FolderShards
    from analysis.statistics import Interval
    from analysis.study import Ranking, answer_prompts, contrasts, judge_answers, refusal_bench, refusal_rate, score
    from analysis.tuning import (
        AdapterInspection,
        AttentionLora,
        ExpertLora,
        SharedExpertLora,
        TuneSettings,
        export_adapter,
        inspect_adapter,
        load_adapter,
        tune_trial,
    )
else:
    from importlib import import_module

    # Modules and the public names that live in them, as above. No name may be that of a module in this folder, since an
    # import of that module would put it in the name's place. That is why the audit is `run_audit` here.
    _NAMES = {
        "analysis.audit": "AuditSettings run_audit",
        "analysis.comparing": "Comparison compare_audits",
        "analysis.criteria": "CRITERIA Criterion CriterionInfo Evidence",
        "analysis.detectors": "DETECTORS Detector DetectorInfo",
        "analysis.detectors.detection": "Detection detect",
        "analysis.detectors.trained": "TrainedDetector load_detector",
        "analysis.evidence.bench": "Bench Effects",
        "analysis.evidence.split": "Halves halves",
        "analysis.forcing": "force_answers",
        "analysis.interventions": "mask",
        "analysis.models": "ExpertId LoadedModel ModelDescription SeamListener inspect_model load_model",
        "analysis.organisms": "organism_names organism_path train_organism",
        "analysis.outcomes.comparison": "compare_outcomes",
        "analysis.outcomes.measures": "Measured measure",
        "analysis.prompts": "Prompt PromptSet builtin_names load_prompts parse_prompts",
        "analysis.result": "Answer AuditResult",
        "analysis.routing.certificate": "Certificate",
        "analysis.routing.coactivation": "Coactivation",
        "analysis.routing.determinism": "Determinism determinism",
        "analysis.routing.saturation": "Saturation saturation",
        "analysis.routing.forced": "ForcedPair capture_forced",
        "analysis.routing.summary": "routing_table",
        "analysis.routing.table": "RoutingTable",
        "analysis.routing.token_trace": "TokenTrace",
        "analysis.routing.token_tracing": "trace_tokens",
        "analysis.routing.topic_safety": "TopicSafety",
        "analysis.routing.topics": "TopicSpecialisation topic_specialisation",
        "analysis.routing.trace": "CaptureSettings Trace capture",
        "analysis.routing.vocabulary": "Vocabulary",
        "analysis.shards": "FolderShards",
        "analysis.statistics": "Interval",
        "analysis.study": "Ranking answer_prompts contrasts judge_answers refusal_bench refusal_rate score",
        "analysis.tuning": (
            "AdapterInspection AttentionLora ExpertLora SharedExpertLora TuneSettings export_adapter inspect_adapter "
            "load_adapter tune_trial"
        ),
    }
    _HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
    _MODULES = {"errors", "statistics"}
    _ALIASES = {"run_audit": "audit"}

    def __getattr__(name):
        if name in _MODULES:
            return import_module(f"analysis.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'analysis' has no attribute '{name}'")
        value = getattr(import_module(_HOMES[name]), _ALIASES.get(name, name))
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "CRITERIA",
    "DETECTORS",
    "AdapterInspection",
    "Answer",
    "AttentionLora",
    "AuditResult",
    "AuditSettings",
    "Bench",
    "CaptureSettings",
    "Certificate",
    "Coactivation",
    "Comparison",
    "Criterion",
    "CriterionInfo",
    "Detection",
    "Detector",
    "DetectorInfo",
    "Determinism",
    "Effects",
    "Evidence",
    "ExpertId",
    "ExpertLora",
    "FolderShards",
    "ForcedPair",
    "Halves",
    "Interval",
    "LoadedModel",
    "Measured",
    "ModelDescription",
    "Prompt",
    "PromptSet",
    "Ranking",
    "RoutingTable",
    "Saturation",
    "SeamListener",
    "SharedExpertLora",
    "TokenTrace",
    "TopicSafety",
    "TopicSpecialisation",
    "Trace",
    "TrainedDetector",
    "TuneSettings",
    "Vocabulary",
    "answer_prompts",
    "builtin_names",
    "capture",
    "capture_forced",
    "compare_audits",
    "compare_outcomes",
    "contrasts",
    "detect",
    "determinism",
    "errors",
    "export_adapter",
    "force_answers",
    "halves",
    "inspect_adapter",
    "inspect_model",
    "judge_answers",
    "load_adapter",
    "load_detector",
    "load_model",
    "load_prompts",
    "mask",
    "measure",
    "organism_names",
    "organism_path",
    "parse_prompts",
    "refusal_bench",
    "refusal_rate",
    "routing_table",
    "run_audit",
    "saturation",
    "score",
    "statistics",
    "topic_specialisation",
    "trace_tokens",
    "train_organism",
    "tune_trial",
]
