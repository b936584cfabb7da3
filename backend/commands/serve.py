"""`expertscope serve`: API, pages and worker in one command; `expertscope worker`: a worker alone."""

import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.console import say
from backend.commands.options import DataOption, settings_for

if TYPE_CHECKING:
    import uvicorn

    from backend.settings import Settings

APPLICATION = "app.server:build"

HostOption = Annotated[
    str | None, typer.Option("--host", help="Address to listen on. Default: EXPERTSCOPE_HOST, else 127.0.0.1.")
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port", min=0, max=65535, help="Port to listen on; 0 takes a free one. Default: EXPERTSCOPE_PORT, else 8000."
    ),
]


WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, max=64, help="Worker processes to start; each computes one run at a time.")
]


def serve(
    host: HostOption = None, port: PortOption = None, data: DataOption = None, workers: WorkersOption = 1
) -> None:
    """Start API, pages and workers; prints the address."""
    settings = settings_for(data, host=host, port=port)
    settings.check_exposure()
    _check(settings)
    listener = listen(settings)
    say("starting ExpertScope …")
    from backend import logs
    from backend.jobs.supervisor import Supervisors

    logs.configure(settings)
    address = _address(settings.host, listener.getsockname()[1])
    _hand_down(settings, listener.getsockname()[1])
    supervisors, server = Supervisors(settings, workers), _server()
    _stop_on_signals(server)
    supervisors.start()
    try:
        threading.Thread(target=announce, args=(server, address), daemon=True).start()
        server.run(sockets=[listener])
    finally:
        supervisors.stop()


def worker(
    data: DataOption = None,
    attached: Annotated[bool, typer.Option("--attached", hidden=True, help="End when standard input closes.")] = False,
) -> None:
    """Carry out runs without a server; any number of workers may share a data folder."""
    settings = settings_for(data)
    from backend import logs

    logs.configure(settings)
    from backend.jobs import worker as process

    if not attached:  # the server has looked already
        _check(settings)
    stop = threading.Event()
    process.stop_on_signals(stop)
    if attached:
        process.die_with_parent()
    process.run_worker(settings, stop)


def _check(settings: "Settings") -> None:
    """Refuse a database that is damaged or of a newer version, before anything is written to it."""
    from backend.services import check_database

    check_database(settings.database)


def listen(settings: "Settings") -> socket.socket:
    """A socket on the address, before anything is started. Raises ConflictError when it is taken."""
    from analysis.errors import ConflictError, InputError

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except socket.gaierror:
        raise InputError(
            f"host '{settings.host}' is not an address of this machine: try 127.0.0.1", field="host"
        ) from None
    except OSError as error:
        raise ConflictError(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}): choose another with --port",
            field="port",
        ) from None


def announce(server: "uvicorn.Server", address: str) -> None:
    """Print the address once the server really answers there, and how the first admin comes in."""
    while not server.should_exit:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=5):
                print(f"ExpertScope is at {address}/ui/", flush=True)  # noqa: T201
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    application: Any = getattr(server.config, "loaded_app", None)
    code = set_up_code(application)
    if code is not None:
        say(f"Nobody has an account yet. Make the first admin at {address}/set-up with the set-up code {code}")


def set_up_code(application: Any) -> str | None:
    """The code of the application that uvicorn has wrapped into its own; None where there is an account already."""
    while application is not None and not hasattr(application, "state"):
        application = getattr(application, "app", None)
    if application is None or not application.state.services.settings.accounts:
        return None
    code: str | None = application.state.services.accounts.set_up_code()
    return code


def _server() -> "uvicorn.Server":
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(APPLICATION, factory=True, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    )


def _stop_on_signals(server: "uvicorn.Server") -> None:
    """Ctrl-C and SIGTERM are the ways to end a server, so they end it with status 0 and time to stop the worker.

    uvicorn takes the signals over while it runs and raises them once more at its end.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


def _hand_down(settings: "Settings", port: int) -> None:
    """The application builds its settings from the environment, so what the command line said goes there."""
    os.environ["EXPERTSCOPE_DATA_DIR"] = str(settings.data_dir.absolute())
    os.environ["EXPERTSCOPE_HOST"] = settings.host
    os.environ["EXPERTSCOPE_PORT"] = str(port)


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
