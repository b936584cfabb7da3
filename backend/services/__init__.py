"""The use cases of ExpertScope, called by API routes, pages, the worker and the command line alike.

`open_services(settings)` opens (and creates or migrates) the database and gives every service. The services are plain
synchronous classes with short transactions, safe to call from several threads; callers in an event loop use a thread.
"""

from dataclasses import dataclass

from analysis.comparing import Comparison
from analysis.errors import (
    ConflictError,
    ExpertScopeError,
    Fault,
    ForbiddenError,
    InputError,
    ModelError,
    NotFoundError,
    NotInstalledError,
    PromptFileError,
    QuotaError,
    TooLargeError,
)
from analysis.outcomes.judges import configure_endpoints
from analysis.outcomes.transitions import LabelRate, Transition, Transitions
from analysis.prompts import Balance, ColumnMapping, Deduplication, Prompt, PromptSet, TopicBalance
from analysis.prompts.importers import guess_labels
from analysis.result import Answer
from analysis.routing.coactivation import Partner
from analysis.routing.token_trace import NO_EXPERT, Routed, TokenTrace
from analysis.routing.vocabulary import TokenUse
from analysis.statistics import RankAgreement
from backend.access import Principal, Role, current, may
from backend.db import Database, check_database, migrate, passing_reason
from backend.reports import Pdf, Summary, follows, routing_finding, spreadsheet_text
from backend.services.accounts import Accounts, SignedIn, UserInfo
from backend.services.adapters import Adapters
from backend.services.answer_changes import AnswerChange, AnswerChanges, ChangeFilter
from backend.services.api_tokens import ApiTokenInfo, ApiTokens, NewApiToken
from backend.services.archives import Archives
from backend.services.attempts import Attempts
from backend.services.audit_log import AuditEntry, AuditLog, Verified
from backend.services.comparisons import Comparisons
from backend.services.content import ANSWERS_HIDDEN, PROMPTS_HIDDEN, Content
from backend.services.documents import Documents
from backend.services.estimates import Ask, Cost, Doubt, Estimate, Estimates, estimate_balance
from backend.services.expert_table import ExpertTable
from backend.services.experts_page import ExpertsPage, Filters, Order
from backend.services.heatmap_views import Order as ExpertOrder
from backend.services.integrity import StoredFault
from backend.services.judges import Judges
from backend.services.leading_experts import LeadingExpert
from backend.services.models import Models
from backend.services.monitoring import Monitoring, Snapshot
from backend.services.oidc import IdentityProvider
from backend.services.playground import Playground, Taken
from backend.services.playground_references import PlaygroundReferences
from backend.services.prompt_imports import ImportOptions, ImportPreview, import_options
from backend.services.prompt_sets import PromptFilter, PromptSets
from backend.services.questions import Asked, DetectorQuality, NewQuestion, Question, QuestionStatus, Waiting
from backend.services.records import (
    ENDED,
    CellRow,
    Depth,
    Device,
    EventKind,
    ExpertView,
    Heatmap,
    ImportedLabels,
    JudgeInfo,
    Margins,
    ModelInfo,
    ModelInspection,
    NewRun,
    Page,
    Pairs,
    Priority,
    Progress,
    PromptSetInfo,
    PromptUse,
    Retry,
    ReviewItem,
    RunDocument,
    RunEvent,
    RunInfo,
    RunKind,
    RunStatus,
    TopicDistances,
    TopicPictures,
    TopicUse,
    TracedPrompt,
    WindowUse,
)
from backend.services.resolution import Resolution, resolution
from backend.services.results import Results
from backend.services.run_rows import RunLostError
from backend.services.runs import Runs
from backend.services.status import Status, StatusReport
from backend.services.storage import Storage
from backend.services.stress import Permits
from backend.services.token_texts import hidden_parts, readable_texts
from backend.services.token_views import TokenView, expert_choices, expert_view, mass_view, partner, stand_ins
from backend.services.topic_neighbours import TopicNeighbour, nearest_topics
from backend.services.workers import WorkerInfo, Workers
from backend.settings import Settings


@dataclass(frozen=True)
class Services:
    """Every service over one database."""

    prompt_sets: PromptSets
    models: Models
    runs: Runs
    attempts: Attempts
    results: Results
    documents: Documents
    comparisons: Comparisons
    permits: Permits
    adapters: Adapters
    audit_log: AuditLog
    accounts: Accounts
    api_tokens: ApiTokens
    identity_provider: IdentityProvider
    judges: Judges
    workers: Workers
    playground: Playground
    estimates: Estimates
    status: Status
    monitoring: Monitoring
    storage: Storage
    archives: Archives
    settings: Settings
    database: Database

    @property
    def content(self) -> Content:
        """What of prompts and answers may leave the server."""
        return Content(self.settings)

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
    audit_log, workers = AuditLog(database), Workers(database, settings)
    prompt_sets, models = PromptSets(database, settings), Models(database, settings)
    results, documents = Results(database), Documents(database, settings)
    references = PlaygroundReferences(database, results, documents, prompt_sets)
    runs = Runs(database, settings, models, prompt_sets)
    return Services(
        prompt_sets=prompt_sets,
        models=models,
        runs=runs,
        attempts=Attempts(database, settings, workers),
        results=results,
        documents=documents,
        comparisons=Comparisons(database, results, prompt_sets),
        permits=Permits(settings, audit_log),
        adapters=Adapters(models),
        audit_log=audit_log,
        accounts=Accounts(database, settings, audit_log),
        api_tokens=ApiTokens(database, audit_log),
        identity_provider=IdentityProvider(settings),
        judges=Judges(database, settings),
        workers=workers,
        playground=Playground(database, settings, models, workers, references),
        estimates=Estimates(database, settings, models, prompt_sets, runs, workers),
        status=Status(database, settings, runs, workers),
        monitoring=Monitoring(database, settings, runs, workers),
        storage=Storage(database, settings, results, documents, audit_log),
        archives=Archives(database, settings, models, documents, audit_log),
        settings=settings,
        database=database,
    )


__all__ = [
    "ANSWERS_HIDDEN",
    "ENDED",
    "NO_EXPERT",
    "PROMPTS_HIDDEN",
    "Accounts",
    "Adapters",
    "Answer",
    "AnswerChange",
    "AnswerChanges",
    "ApiTokenInfo",
    "ApiTokens",
    "Archives",
    "Ask",
    "Asked",
    "Attempts",
    "AuditEntry",
    "AuditLog",
    "Balance",
    "CellRow",
    "ChangeFilter",
    "ColumnMapping",
    "Comparison",
    "Comparisons",
    "ConflictError",
    "Content",
    "Cost",
    "Deduplication",
    "Depth",
    "DetectorQuality",
    "Device",
    "Documents",
    "Doubt",
    "Estimate",
    "Estimates",
    "EventKind",
    "ExpertOrder",
    "ExpertScopeError",
    "ExpertTable",
    "ExpertView",
    "ExpertsPage",
    "Fault",
    "Filters",
    "ForbiddenError",
    "Heatmap",
    "IdentityProvider",
    "ImportOptions",
    "ImportPreview",
    "ImportedLabels",
    "InputError",
    "JudgeInfo",
    "Judges",
    "LabelRate",
    "LeadingExpert",
    "Margins",
    "ModelError",
    "ModelInfo",
    "ModelInspection",
    "Models",
    "Monitoring",
    "NewApiToken",
    "NewQuestion",
    "NewRun",
    "NotFoundError",
    "NotInstalledError",
    "Order",
    "Page",
    "Pairs",
    "Partner",
    "Pdf",
    "Permits",
    "Playground",
    "Principal",
    "Priority",
    "Progress",
    "Prompt",
    "PromptFileError",
    "PromptFilter",
    "PromptSet",
    "PromptSetInfo",
    "PromptSets",
    "PromptUse",
    "Question",
    "QuestionStatus",
    "QuotaError",
    "RankAgreement",
    "Resolution",
    "Results",
    "Retry",
    "ReviewItem",
    "Role",
    "Routed",
    "RunDocument",
    "RunEvent",
    "RunInfo",
    "RunKind",
    "RunLostError",
    "RunStatus",
    "Runs",
    "Services",
    "Settings",
    "SignedIn",
    "Snapshot",
    "Status",
    "StatusReport",
    "Storage",
    "StoredFault",
    "Summary",
    "Taken",
    "TokenTrace",
    "TokenUse",
    "TokenView",
    "TooLargeError",
    "TopicBalance",
    "TopicDistances",
    "TopicNeighbour",
    "TopicPictures",
    "TopicUse",
    "TracedPrompt",
    "Transition",
    "Transitions",
    "UserInfo",
    "Verified",
    "Waiting",
    "WindowUse",
    "WorkerInfo",
    "Workers",
    "check_database",
    "current",
    "estimate_balance",
    "expert_choices",
    "expert_view",
    "follows",
    "guess_labels",
    "hidden_parts",
    "import_options",
    "mass_view",
    "may",
    "nearest_topics",
    "open_services",
    "partner",
    "passing_reason",
    "readable_texts",
    "resolution",
    "routing_finding",
    "spreadsheet_text",
    "stand_ins",
]
