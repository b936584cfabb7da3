"""The use cases of ExpertScope, called by API routes, pages, the worker and the command line alike.

`open_services(settings)` opens (and creates or migrates) the database and gives every service. The services are plain
synchronous classes with short transactions, safe to call from several threads; callers in an event loop use a thread.
"""

from dataclasses import dataclass

from analysis.errors import (
    ConflictError,
    ExpertScopeError,
    Fault,
    InputError,
    ModelError,
    NotFoundError,
    PromptFileError,
    TooLargeError,
)
from analysis.outcomes.judges import configure_endpoints
from analysis.prompts import Prompt, PromptSet
from analysis.result import Answer
from analysis.routing.coactivation import Partner
from analysis.routing.token_trace import NO_EXPERT, Routed, TokenTrace
from analysis.routing.vocabulary import TokenUse
from backend.db import Database, migrate
from backend.services.adapters import Adapters
from backend.services.audit_log import AuditEntry, AuditLog
from backend.services.documents import Documents
from backend.services.judges import Judges
from backend.services.models import Models
from backend.services.playground import Playground, Taken
from backend.services.playground_references import PlaygroundReferences
from backend.services.prompt_sets import PromptSets
from backend.services.questions import Asked, DetectorQuality, NewQuestion, Question, QuestionStatus, Waiting
from backend.services.records import (
    ENDED,
    Depth,
    Device,
    EventKind,
    ExpertView,
    Heatmap,
    ImportedLabels,
    JudgeInfo,
    ModelInfo,
    NewRun,
    Page,
    Pairs,
    Progress,
    PromptSetInfo,
    PromptUse,
    ReviewItem,
    RunDocument,
    RunEvent,
    RunInfo,
    RunKind,
    RunStatus,
    TopicDistances,
    TopicUse,
    TracedPrompt,
    WindowUse,
)
from backend.services.resolution import Resolution, resolution
from backend.services.results import Results
from backend.services.runs import Runs
from backend.services.stress import Permits
from backend.services.token_texts import hidden_parts, readable_texts
from backend.services.token_views import TokenView, expert_choices, expert_view, mass_view, partner, stand_ins
from backend.services.workers import Workers
from backend.settings import Settings


@dataclass(frozen=True)
class Services:
    """Every service over one database."""

    prompt_sets: PromptSets
    models: Models
    runs: Runs
    results: Results
    documents: Documents
    permits: Permits
    adapters: Adapters
    audit_log: AuditLog
    judges: Judges
    workers: Workers
    playground: Playground
    settings: Settings
    database: Database

    def close(self) -> None:
        """Let go of the database's connections."""
        self.database.close()


def open_services(settings: Settings) -> Services:
    """Create the data folder and the database where they are missing, migrate, and open every service.

    Raises ExpertScopeError or one of its kinds when the folder or the database cannot be used.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise InputError(f"data folder '{settings.data_dir}' cannot be made: {fault.strerror}", field="data") from fault
    configure_endpoints(settings.endpoints())
    database = Database(settings.database)
    migrate(database)
    audit_log = AuditLog(database)
    prompt_sets, models = PromptSets(database, settings), Models(database, settings)
    results, documents = Results(database), Documents(database, settings)
    workers = Workers(database, settings)
    references = PlaygroundReferences(database, results, documents, prompt_sets)
    return Services(
        prompt_sets=prompt_sets,
        models=models,
        runs=Runs(database, settings, models, prompt_sets),
        results=results,
        documents=documents,
        permits=Permits(settings, audit_log),
        adapters=Adapters(models),
        audit_log=audit_log,
        judges=Judges(database, settings),
        workers=workers,
        playground=Playground(database, settings, models, workers, references),
        settings=settings,
        database=database,
    )


__all__ = [
    "ENDED",
    "NO_EXPERT",
    "Adapters",
    "Answer",
    "Asked",
    "AuditEntry",
    "AuditLog",
    "ConflictError",
    "Depth",
    "DetectorQuality",
    "Device",
    "Documents",
    "EventKind",
    "ExpertScopeError",
    "ExpertView",
    "Fault",
    "Heatmap",
    "ImportedLabels",
    "InputError",
    "JudgeInfo",
    "Judges",
    "ModelError",
    "ModelInfo",
    "Models",
    "NewQuestion",
    "NewRun",
    "NotFoundError",
    "Page",
    "Pairs",
    "Partner",
    "Permits",
    "Playground",
    "Progress",
    "Prompt",
    "PromptFileError",
    "PromptSet",
    "PromptSetInfo",
    "PromptSets",
    "PromptUse",
    "Question",
    "QuestionStatus",
    "Resolution",
    "Results",
    "ReviewItem",
    "Routed",
    "RunDocument",
    "RunEvent",
    "RunInfo",
    "RunKind",
    "RunStatus",
    "Runs",
    "Services",
    "Settings",
    "Taken",
    "TokenTrace",
    "TokenUse",
    "TokenView",
    "TooLargeError",
    "TopicDistances",
    "TopicUse",
    "TracedPrompt",
    "Waiting",
    "WindowUse",
    "Workers",
    "expert_choices",
    "expert_view",
    "hidden_parts",
    "mass_view",
    "open_services",
    "partner",
    "readable_texts",
    "resolution",
    "stand_ins",
]
