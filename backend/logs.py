"""Log lines of every ExpertScope process: to stderr, one event per line, with the request and the run that they
belong to.

`configure` is called once by each command; everything else calls `structlog.get_logger()` or the standard library's
`logging`, which end in the same place. A line never carries a prompt, an answer, a secret or a path of this machine.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from backend.settings import Settings

_TEXTS = frozenset({"answer", "completion", "prompt", "prompts", "text"})
_SECRET_NAME = re.compile(r"token$|secret|password|authorization|cookie|api_?key", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"\bhf_[A-Za-z0-9]{16,}|(?<=Bearer )\S+|(?<=://)[^\s/:@]+:[^\s/@]+(?=@)")
_PATH = re.compile(r"(?<![\w./~<>-])/(?P<top>[\w.-]+)(?:/[\w.@+-]+)*/(?P<name>[\w.@+-]+)")
HIDDEN = "<hidden>"
REQUEST_ID = "request_id"


def configure(settings: Settings) -> None:
    """Send every log line of this process to stderr, as the settings ask. Call it once, before the first line."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Redaction(known_folders(settings)),
    ]
    renderer = structlog.processors.JSONRenderer() if settings.log_json else readable()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = Stderr()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, Stderr)] + [handler]
    root.setLevel(settings.log_level.upper())
    logging.captureWarnings(True)
    _quiet_libraries()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


class Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever sys.stderr is at the time; marks the one handler that `configure` replaces."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def bound(**names: str | int) -> AbstractContextManager[object]:
    """Within the block every line of this thread carries `names`, such as run_id."""
    return structlog.contextvars.bound_contextvars(**names)


def request_id() -> str | None:
    """The id of the request that is being answered, None outside of one."""
    known: str | None = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    return known


def readable() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ)


def _quiet_libraries() -> None:
    # Alembic tells of every migration step, httpx of every request to a hub, uvicorn of its life from start to end.
    for name in ("alembic", "filelock", "httpx", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


def known_folders(settings: Settings) -> dict[str, str]:
    """Folders of this machine and the word that stands for each in a log line."""
    known = {
        str(settings.data_dir.absolute()): "<data>",
        sys.prefix: "<python>",
        str(Path(__file__).parents[1]): "<expertscope>",
    }
    try:
        return known | {str(Path.home()): "~"}
    except RuntimeError:  # a container's number without a name, and no HOME
        return known


class Redaction:
    """A structlog processor that takes texts, secrets and this machine's paths out of a line."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        longest_first = sorted(folders.items(), key=lambda pair: -len(pair[0]))
        self._folders = [(folder, word) for folder, word in longest_first if folder != "/"]
        self._roots = frozenset(entry.name for entry in os.scandir("/"))

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {name: self._field(name, value) for name, value in event.items()}

    def _field(self, name: str, value: object) -> object:
        if name in _TEXTS and value is not None:
            return f"<{len(str(value))} characters>"
        if _SECRET_NAME.search(name):
            return HIDDEN
        return self._value(value)

    def _value(self, value: object) -> object:
        if isinstance(value, str | os.PathLike):
            return self.text(str(value))
        if isinstance(value, Mapping):
            return {key: self._field(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(item) for item in value]
        return value

    def text(self, value: str) -> str:
        """`value` with secrets hidden, known folders named by their word and other paths cut to their last part."""
        for folder, word in self._folders:
            value = value.replace(folder, word)
        return _PATH.sub(self._shorten, _SECRET_VALUE.sub(HIDDEN, value))

    def _shorten(self, match: re.Match[str]) -> str:
        # /api/v1/runs in a line about a request is no path of this machine.
        return f"…/{match['name']}" if match["top"] in self._roots else match[0]


Redact = Callable[[str], str]


def redactor(settings: Settings) -> Redact:
    """What a log line does to a text, for messages that are stored rather than logged."""
    return Redaction(known_folders(settings)).text
