"""Every setting of ExpertScope in one class; each can be given as an environment variable EXPERTSCOPE_<NAME>.

The command line, the web server and the worker build one `Settings` at start and hand it down. No other module reads
the environment, and the science in `analysis` never sees a setting.
"""

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from analysis.errors import InputError
from analysis.outcomes.judges.endpoint import Endpoint


class JudgeEndpoint(BaseModel):
    """One OpenAI-compatible server that judges answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    model: str
    key: SecretStr | None = None
    timeout: float = Field(default=60.0, gt=0)
    concurrency: int = Field(default=4, ge=1, le=64)
    retries: int = Field(default=4, ge=0, le=10)


class Settings(BaseSettings):
    """Where data lives, who may reach the server, and how much it accepts."""

    model_config = SettingsConfigDict(env_prefix="EXPERTSCOPE_", frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Path = Field(
        default=Path("data"),
        description="Folder of the database and the shards of every run; all workers share it. Created when missing.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the server listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that the server listens on; 0 takes a free one.")
    accounts: bool = Field(
        default=False,
        description="Lets in only who signs in or shows a token. Without it whoever uses the server on its own machine "
        "is its admin, and a `host` that is not loopback is refused.",
    )
    secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs the cookies of signed-in browsers, 32 characters or more. Default: one that is made once "
        "and kept in `data_dir`.",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+$",
        description="The address that browsers use, such as https://experts.example.org, where a proxy stands before "
        "the server. Its host is allowed by that.",
    )
    session_hours: float = Field(
        default=12.0, gt=0, le=720, description="Hours after which a browser has to sign in anew."
    )
    sign_in_attempts: int = Field(
        default=8, ge=1, description="Failed attempts to sign in within five minutes, for a name from one address."
    )
    oidc_issuer: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Identity provider (OpenID Connect) that people may sign in with, by the address of its issuer.",
    )
    oidc_client_id: str | None = Field(default=None, description="The client that the provider knows this server as.")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="That client's secret; none for a public client, which PKCE protects."
    )
    oidc_role_claim: str = Field(
        default="groups", description="The claim of the provider's ID token that says who may do what."
    )
    oidc_roles: dict[str, Literal["viewer", "analyst", "admin"]] = Field(
        default_factory=dict,
        description="What a value of that claim makes somebody, as JSON; of several the highest. Whoever has none of "
        "them is turned away.",
    )
    requests_per_minute: int = Field(
        default=1200,
        ge=0,
        description="Most requests of one account or address in a minute, where there are accounts; 0 for no limit.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Lets whoever sends it as a bearer token read /metrics where there are accounts.",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Host names that a browser may use beside the loopback names. On loopback any other name is "
        "refused, which stops DNS rebinding.",
    )
    allowed_origins: list[str] = Field(
        default_factory=list,
        description="Origins (scheme://host[:port]) beside the server's own from which pages may change things.",
    )
    database_url: str | None = Field(
        default=None,
        description="SQLAlchemy URL of the application database, sqlite or postgresql+psycopg. "
        "Default: expertscope.db in `data_dir`.",
    )
    model_roots: list[Path] = Field(
        default_factory=list,
        description="Folders that models may be registered from. Empty: any readable folder while the server listens "
        "on loopback, and none otherwise.",
    )
    upload_limit_bytes: int = Field(default=20_000_000, gt=0, description="Largest prompt file accepted, in bytes.")
    max_cell_chars: int = Field(default=20_000, gt=0, description="Longest single prompt accepted, in characters.")
    max_prompts: int = Field(default=100_000, gt=0, description="Most rows that one prompt file may have.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where runs compute unless a run says otherwise. auto: CUDA where there is one."
    )
    worker_threads: int = Field(
        default=0,
        ge=0,
        description="Threads that torch uses in the worker; 0 takes one for a small model, else torch's choice.",
    )
    worker_stale_seconds: float = Field(
        default=30.0,
        gt=0,
        description="A worker silent for longer counts as gone in /readyz and on the pages, and another takes over its "
        "run.",
    )
    retry_seconds: float = Field(
        default=10.0,
        ge=0,
        description="First pause before a run that failed of something that may pass is tried again; each further one "
        "is four times as long, and the fourth failure is the last.",
    )
    runs_per_user: int = Field(
        default=0,
        ge=0,
        description="Most runs that one person may have waiting and running at a time; 0 sets no limit.",
    )
    allow_stress_tuning: bool = Field(
        default=False,
        description="Lets analysts and admins measure how little tuning removes refusal (`tune --direction stress`). "
        "Nothing of it is written but labels, digests and numbers, and every such trial has its audit record.",
    )
    hide_completions: bool = Field(
        default=False,
        description="Never send the text of generated answers to a page or over the API; labels and margins remain.",
    )
    retention_days: int = Field(
        default=0,
        ge=0,
        description="Days after which the shards of a finished run are deleted; its results stay. 0 keeps them.",
    )
    archive_limit_bytes: int = Field(
        default=4_000_000_000, gt=0, description="Most bytes that a run's archive may unpack to when it is imported."
    )
    playground_kept: int = Field(
        default=50,
        ge=1,
        description="Questions of the playground that are kept, the newest; older ones are deleted with their texts.",
    )
    hide_prompts: bool = Field(
        default=False,
        description="Never send the text of prompts to a page or over the API; ids, labels and topics remain.",
    )
    judge_endpoints: dict[str, JudgeEndpoint] = Field(
        default_factory=dict,
        description="Judges that answer over an OpenAI-compatible API, as JSON: name to url, model and, where needed, "
        "key, timeout, concurrency and retries. A run names one as endpoint:NAME.",
    )
    judge_hosts: list[str] = Field(
        default_factory=list,
        description="Hosts, beside this machine, that judged prompts and answers may be sent to.",
    )
    event_poll_seconds: float = Field(
        default=0.5, gt=0, description="How often an open event stream looks for news of its run."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log line that is written."
    )
    log_json: bool = Field(default=False, description="Write log lines as JSON instead of readable text.")
    access_log: bool = Field(
        default=False,
        description="Write a log line for every answer: method, route, status, milliseconds, who asked and the "
        "request's id.",
    )
    first_run: bool = Field(
        default=True, description="On an empty database register the built-in models and audit one of them."
    )

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in use."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'expertscope.db'}"

    def run_dir(self, run_id: str) -> Path:
        """Folder in which the shards of one run are kept; it need not exist yet."""
        return self.data_dir.absolute() / "runs" / run_id

    def endpoints(self) -> dict[str, Endpoint]:
        """The judge endpoints. Raises InputError for one whose URL leads to a host that is not allowed."""
        return {
            name: Endpoint(
                one.url,
                one.model,
                one.key.get_secret_value() if one.key else None,
                hosts=tuple(self.judge_hosts),
                timeout=one.timeout,
                concurrency=one.concurrency,
                retries=one.retries,
            )
            for name, one in self.judge_endpoints.items()
        }

    @property
    def on_loopback(self) -> bool:
        """Whether only programs on this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check_exposure(self) -> None:
        """Raise InputError for settings that would let in anybody, or nobody."""
        if not (self.on_loopback or self.accounts):
            raise InputError(
                f"host {self.host} can be reached from other machines and nobody would have to sign in: use 127.0.0.1, "
                "or set EXPERTSCOPE_ACCOUNTS=true",
                field="host",
            )
        if self.oidc_issuer and not self.accounts:
            raise InputError("oidc_issuer is set and accounts are off: set EXPERTSCOPE_ACCOUNTS=true", field="accounts")
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_roles):
            raise InputError(
                "oidc_issuer needs EXPERTSCOPE_OIDC_CLIENT_ID and EXPERTSCOPE_OIDC_ROLES, such as "
                """'{"safety-team": "analyst"}', or nobody could sign in""",
                field="oidc_issuer",
            )
