"""The command `expertscope`.

Exit status: 0 done, 1 the work failed (one line on stderr says why), 2 the arguments are wrong.
"""

import getpass
import os
import sys
import warnings
from importlib.metadata import version
from typing import Annotated

import typer

from analysis.errors import ExpertScopeError
from backend.access import Principal, Role, acting_as
from backend.commands import (
    adapters,
    audit,
    audit_log,
    backup,
    compare,
    conformance,
    detect,
    judge,
    mask,
    models,
    organism,
    prompts,
    routing,
    runs,
    serve,
    trace,
    tune,
    users,
)
from backend.threads import wait_asleep

INTERRUPTED = 130

app = typer.Typer(
    name="expertscope",
    help="Which experts of a Mixture-of-Experts model carry its safety behaviour, and how sure one can be.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(serve.worker)
app.command()(serve.health)
app.command()(audit.audit)
app.command()(trace.trace)
app.command()(detect.detect)
app.command()(mask.mask)
app.command()(tune.tune)
app.command()(judge.judge)
app.command()(compare.compare)
app.command()(compare.gate)
app.command()(conformance.conformance)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(backup.check)
app.add_typer(runs.app, name="runs")
app.add_typer(routing.app, name="routing")
app.add_typer(prompts.app, name="prompts")
app.add_typer(models.app, name="models")
app.add_typer(organism.app, name="organism")
app.add_typer(adapters.app, name="adapters")
app.add_typer(users.app, name="users")
app.add_typer(audit_log.app, name="audit-log")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("expertscope"))
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave the process with its exit status."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    _quiet_libraries()
    try:
        # Without standalone mode typer gives back the status of typer.Exit, and whatever the command returns otherwise.
        with acting_as(Principal(_user(), Role.ADMIN, "process")):
            status = app(arguments, standalone_mode=False, prog_name="expertscope")
    except typer.TyperException as error:
        return _wrong_arguments(error)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return _reader_gone()
    except ExpertScopeError as error:
        return _complain(error.message, 1)
    except Exception as error:
        if os.environ.get("EXPERTSCOPE_LOG_LEVEL", "").lower() == "debug":
            raise
        return _complain(f"unexpected {type(error).__name__}: {error} (EXPERTSCOPE_LOG_LEVEL=debug shows where)", 1)
    if status == INTERRUPTED:
        return _complain("interrupted", INTERRUPTED)
    return status if isinstance(status, int) else 0


def _user() -> str:
    """Whom the audit log names for what a command does."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's number without a name
        return f"uid {os.getuid()}"


def _wrong_arguments(error: typer.TyperException) -> int:
    message = error.format_message()
    if message.startswith("Usage:"):  # no arguments at all: the help is the answer
        print(message, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return _complain(message.replace("Value error, ", ""), error.exit_code)


def _complain(message: str, status: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return status


def _reader_gone() -> int:
    """`expertscope … | head` is no failure worth a line, but the interpreter would complain when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _quiet_libraries() -> None:
    """Libraries must not draw bars or warn on a stderr that promises one line. They read it at import."""
    wait_asleep()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for name, value in {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }.items():
        os.environ.setdefault(name, value)


if __name__ == "__main__":
    main()
