"""`expertscope serve`: API, pages and worker in one command; `expertscope worker`: a worker alone.

`expertscope health` asks either whether it is well, for a container or a supervisor that has no curl.
"""

import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

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
    int,
    typer.Option(
        "--workers", min=0, max=64, help="Worker processes to start; each computes one run at a time. 0: API and pages."
    ),
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


def health(
    host: HostOption = None,
    port: PortOption = None,
    data: DataOption = None,
    worker: Annotated[
        bool, typer.Option("--worker", help="Ask for a worker's heartbeat instead of the server.")
    ] = False,
) -> None:
    """Ask the server or the worker whether it is well; status 1 and the reason where it is not."""
    settings = settings_for(data, host=host, port=port)
    if worker:
        _ask_worker(settings)
    else:
        _ask_server(settings)
    print("ok")  # noqa: T201


def _ask_server(settings: "Settings") -> None:
    """Raises NotReadyError where the server does not answer. It is asked by the name that browsers use, since it may
    refuse others."""
    from analysis.errors import NotReadyError

    address = _address(settings.host, settings.port)
    name = urlsplit(settings.public_url or "").netloc or next(iter(settings.allowed_hosts), "")
    request = urllib.request.Request(f"{address}/healthz", headers={"Host": name} if name else {})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5):
            return
    except urllib.error.HTTPError as error:
        error.close()
        raise NotReadyError(f"the server at {address} answers with status {error.code}: look at its log") from None
    except OSError as error:
        raise NotReadyError(f"no server answers at {address} ({error}): look at its log") from None


def _ask_worker(settings: "Settings") -> None:
    """Raises NotReadyError where no worker was heard within `worker_stale_seconds`."""
    from sqlalchemy.exc import SQLAlchemyError

    from analysis.errors import NotReadyError
    from backend.db import Database
    from backend.services.workers import Workers

    database = Database(settings.database)
    try:
        alive = Workers(database, settings).alive()
    except SQLAlchemyError:
        raise NotReadyError("the database does not answer: look at the worker's log", field="database") from None
    finally:
        database.close()
    if not alive:
        seconds = settings.worker_stale_seconds
        raise NotReadyError(f"no worker was heard for {seconds:g} s: its log says why it stopped", field="worker")


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
            _wait_for(address)
            print(f"ExpertScope is at {address}/ui/", flush=True)  # noqa: T201
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    application: Any = getattr(server.config, "loaded_app", None)
    code = set_up_code(application)
    if code is not None:
        say(f"Nobody has an account yet. Make the first admin at {address}/set-up with the set-up code {code}")


def _wait_for(address: str) -> None:
    """Raises OSError until the server answers there, be it only that it wants to be called by another name."""
    try:
        urllib.request.urlopen(f"{address}/healthz", timeout=5).close()
    except urllib.error.HTTPError as refused:
        refused.close()


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
