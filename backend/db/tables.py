"""The tables of the application database, as SQLAlchemy models. Only `backend.services` reads and writes them.

Times are UTC. Blobs are compressed by whoever writes them; SQL never looks inside. The schema itself is made by the
numbered migrations beside this file, and a test holds the two equal.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

ID_LENGTH = 12


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept as naive UTC because SQLite knows no zones. Refuses naive values."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times are stored with their zone; a naive datetime was given")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Names every constraint, so that later migrations can drop them on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
        bytes: LargeBinary,
        str: Text,
    }


class PromptSetRow(Base):
    """One prompt set and what lists show of it, so that a list never counts prompts."""

    __tablename__ = "prompt_sets"
    __table_args__ = (UniqueConstraint("sha256", "name"), Index(None, "created", "id"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(16))
    prompts: Mapped[int]
    harmful: Mapped[int]
    benign: Mapped[int]
    jailbreak: Mapped[int] = mapped_column(default=0, server_default="0")
    pairs: Mapped[int]
    topics: Mapped[list[str]]
    created: Mapped[datetime]


class PromptRow(Base):
    """One prompt at its place in the set's order."""

    __tablename__ = "prompts"
    __table_args__ = (UniqueConstraint("prompt_set_id", "prompt_id"),)

    prompt_set_id: Mapped[str] = mapped_column(ForeignKey("prompt_sets.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    prompt_id: Mapped[str]
    text: Mapped[str]
    label: Mapped[str | None] = mapped_column(String(16))
    topic: Mapped[str | None]
    pair_id: Mapped[str | None]
    group: Mapped[str] = mapped_column("prompt_group", String(16), default="regular", server_default="regular")


class ModelRow(Base):
    """A model that was inspected and accepted. `revision` is empty, not null, so that uniqueness holds."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("ref", "revision"), Index(None, "created", "id"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    ref: Mapped[str]
    revision: Mapped[str] = mapped_column(default="")
    name: Mapped[str]
    family: Mapped[str]
    description: Mapped[dict[str, Any]]
    created: Mapped[datetime]


class RunRow(Base):
    """One run and its state. `fraction` is the share done over all stages, `fraction_base` its value at the attempt's
    start. `parameters` are those that only its kind has.

    `worker` has taken the run up and `attempts` numbers the takings: only the newest may change the run. `losses`
    counts those that ended without a word, `retries` those that failed of what may pass, since the last new shard.
    """

    __tablename__ = "runs"
    __table_args__ = (Index(None, "created", "id"), Index(None, "status"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str]
    status: Mapped[str] = mapped_column(String(16))
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    prompt_set_id: Mapped[str] = mapped_column(ForeignKey("prompt_sets.id"))
    preset: Mapped[str] = mapped_column(String(16))
    seed: Mapped[int]
    judge: Mapped[str]
    second_judge: Mapped[str | None]
    device: Mapped[str] = mapped_column(String(16))
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    created: Mapped[datetime]
    started: Mapped[datetime | None]
    attempt_started: Mapped[datetime | None]
    finished: Mapped[datetime | None]
    heartbeat: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    stage: Mapped[str | None]
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    fraction: Mapped[float] = mapped_column(default=0.0)
    fraction_base: Mapped[float] = mapped_column(default=0.0)
    eta_seconds: Mapped[float | None]
    error: Mapped[str | None]
    headline: Mapped[str | None]
    priority: Mapped[int] = mapped_column(default=1, server_default="1")
    creator: Mapped[str] = mapped_column(default="local", server_default="local")
    worker: Mapped[str | None]
    losses: Mapped[int] = mapped_column(default=0, server_default="0")
    retries: Mapped[int] = mapped_column(default=0, server_default="0")
    retry_at: Mapped[datetime | None]
    retry_reason: Mapped[str | None]
    batch_tokens: Mapped[int | None]

    model: Mapped[ModelRow] = relationship(lazy="joined", innerjoin=True)
    prompt_set: Mapped[PromptSetRow] = relationship(lazy="joined", innerjoin=True)


class RunEventRow(Base):
    """Append-only history of a run, numbered from 1."""

    __tablename__ = "run_events"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    time: Mapped[datetime]
    data: Mapped[dict[str, Any]]


class RunShardRow(Base):
    """A shard that an attempt has kept in the run's folder: the digest that its file has to have."""

    __tablename__ = "run_shards"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    attempt: Mapped[int]
    created: Mapped[datetime]


class RunResultRow(Base):
    """The documents of a finished audit: report.json without its experts (zstd), the experts, certificate and routing
    table. What is large is read when it is asked for.

    A row from before `experts` came has it null: its report is whole, its `counts` hold the selections per prompt and
    its routing table the co-activation, which otherwise stand in `run_layers`.
    """

    __tablename__ = "run_results"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    report: Mapped[bytes] = mapped_column(deferred=True)
    certificate: Mapped[dict[str, Any]]
    routing: Mapped[bytes] = mapped_column(deferred=True)
    counts: Mapped[bytes] = mapped_column(deferred=True)
    created: Mapped[datetime]
    experts: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)


class RunLayerRow(Base):
    """What a finished audit counted in one layer: selections per prompt, and co-activation where there is any."""

    __tablename__ = "run_layers"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cells: Mapped[bytes]


class RunDocumentRow(Base):
    """The one document (zstd) of a finished run that is no audit: mask.json, detector.json, tune.json, trace.json."""

    __tablename__ = "run_documents"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    schema: Mapped[str] = mapped_column("document_schema", String(64))
    document: Mapped[bytes]
    created: Mapped[datetime]


class RunFileRow(Base):
    """A file that a finished run left in its folder, and what it has to be when it is read."""

    __tablename__ = "run_files"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))


class ExpertScoreRow(Base):
    """One expert of one finished run, for questions across runs. The report stays the whole truth."""

    __tablename__ = "expert_scores"
    __table_args__ = (Index(None, "run_id", "rank"),)

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    expert: Mapped[int] = mapped_column(primary_key=True)
    rank: Mapped[int]
    flagged: Mapped[bool]
    level: Mapped[int]
    raset: Mapped[float | None]
    raset_gradient: Mapped[float | None]
    safex: Mapped[float | None]
    ablation: Mapped[float | None]
    effect: Mapped[float | None]
    q_value: Mapped[float | None]


class OutcomeRow(Base):
    """One judged answer. `position` keeps the audit's order."""

    __tablename__ = "outcomes"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    prompt_id: Mapped[str]
    variant: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(String(16))
    rule: Mapped[str | None]
    span_start: Mapped[int | None]
    span_end: Mapped[int | None]
    margin: Mapped[float | None]
    text: Mapped[str]
    second_label: Mapped[str | None] = mapped_column(String(16))


class TokenTraceRow(Base):
    """Where the tokens of one prompt and its answer were routed (`TokenTrace`, zstd). A run may have kept a sample."""

    __tablename__ = "token_traces"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    prompt_id: Mapped[str] = mapped_column(primary_key=True)
    trace: Mapped[bytes]


class HumanLabelRow(Base):
    """What a person called one answer: of a run (`run_id` and `position` of its outcome), or of an imported file.

    `key` is the digest of what was labelled, so that the same answer has one label. `source` says how the answer was
    chosen: "import", "sample" (drawn at random from a run) or "review" (the judges differ or did not decide).
    """

    __tablename__ = "human_labels"
    __table_args__ = (Index(None, "run_id", "position"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    source: Mapped[str] = mapped_column(String(16))
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    position: Mapped[int | None]
    model: Mapped[str]
    prompt: Mapped[str]
    completion: Mapped[str]
    label: Mapped[str] = mapped_column(String(16))
    created: Mapped[datetime]


class JudgeLabelRow(Base):
    """What one version of a judge calls an answer that a person labelled."""

    __tablename__ = "judge_labels"

    human_label_id: Mapped[str] = mapped_column(ForeignKey("human_labels.id", ondelete="CASCADE"), primary_key=True)
    judge: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(16))


class AuditLogRow(Base):
    """One entry of the audit log. The database refuses to change or delete one, and `hash` covers the entry and the
    hash of the one before (`previous`), so that a change behind the database's back shows. `id` counts without a gap.
    """

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    time: Mapped[datetime]
    actor: Mapped[str]
    role: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str]
    details: Mapped[dict[str, Any]]
    address: Mapped[str] = mapped_column(default="", server_default="")
    previous: Mapped[str] = mapped_column(String(64), default="", server_default="")
    hash: Mapped[str] = mapped_column(String(64), default="", server_default="")


class UserRow(Base):
    """An account. `name` is kept in lower case. `password` is an argon2 hash, None for one that signs in elsewhere
    (`subject` of `issuer`). `active` is taken away instead of the row, because the audit log names it."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str | None]
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    active: Mapped[bool]
    created: Mapped[datetime]
    seen: Mapped[datetime | None]


class SessionRow(Base):
    """One signed-in browser. `token_sha256` is all that is kept of what its cookie holds."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    address: Mapped[str]
    created: Mapped[datetime]
    expires: Mapped[datetime]


class ApiTokenRow(Base):
    """A program's key to the API. Its secret is shown once and kept as `token_sha256`; `role` is what it may do, at
    most what its owner may."""

    __tablename__ = "api_tokens"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created: Mapped[datetime]
    expires: Mapped[datetime]
    used: Mapped[datetime | None]
    revoked: Mapped[datetime | None]


class PlaygroundQuestionRow(Base):
    """One prompt that somebody asked a model on the playground, and what the worker found (a blob, see
    `analysis.playground`). Only the newest are kept."""

    __tablename__ = "playground_questions"
    __table_args__ = (Index(None, "created", "id"), Index(None, "status"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    prompt: Mapped[str]
    judge: Mapped[str]
    max_new_tokens: Mapped[int]
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    label: Mapped[str | None] = mapped_column(String(16))
    error: Mapped[str | None]
    result: Mapped[bytes | None] = mapped_column(deferred=True)
    created: Mapped[datetime]
    started: Mapped[datetime | None]
    finished: Mapped[datetime | None]
    worker: Mapped[str | None]

    model: Mapped[ModelRow] = relationship(lazy="joined", innerjoin=True)


class WorkerRow(Base):
    """A worker process and when it was last heard. `machine` is what it computes with, `kernel` where it runs: there
    the lock that it holds tells at once when it has died."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    pid: Mapped[int]
    started: Mapped[datetime]
    seen: Mapped[datetime]
    machine: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    kernel: Mapped[str] = mapped_column(default="", server_default="")
