"""PostgreSQL's own tools, which alone dump and restore a database of theirs consistently.

What says where and as whom goes to them in the environment: a command line can be read by everyone on the machine.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import URL

from analysis.errors import ExpertScopeError, NotInstalledError

_NAMES = {"host": "PGHOST", "port": "PGPORT", "username": "PGUSER", "password": "PGPASSWORD", "database": "PGDATABASE"}
_QUERY = {"host": "PGHOST", "port": "PGPORT", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}


def dump(url: URL, target: Path) -> None:
    """Write one consistent state of the database. Raises NotInstalledError without pg_dump."""
    _run("pg_dump", url, ["--format=custom", "--no-owner", "--no-privileges", f"--file={target}"])


def load(url: URL, source: Path) -> None:
    """Fill the empty database of `url`, all of it or nothing. Raises NotInstalledError without pg_restore."""
    options = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _run("pg_restore", url, [*options, f"--dbname={url.database}", str(source)])


def _run(name: str, url: URL, arguments: Sequence[str]) -> None:
    program = shutil.which(name) or _newest(name)
    if program is None:
        raise NotInstalledError(
            f"{name} is not installed, and a PostgreSQL database needs it: apt-get install postgresql-client, "
            "of the server's version or newer"
        )
    ended = subprocess.run([program, *arguments], env=_environment(url), capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"it ended with status {ended.returncode}"]
        raise ExpertScopeError(f"{name} failed: {lines[0]}")


def _newest(name: str) -> str | None:
    """Debian keeps the tools of each version in a folder of their own, outside of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else None


def _environment(url: URL) -> dict[str, str]:
    given = {variable: getattr(url, name) for name, variable in _NAMES.items()}
    given |= {variable: url.query.get(name) or given.get(variable) for name, variable in _QUERY.items()}
    return {**os.environ, **{variable: str(value) for variable, value in given.items() if value is not None}}
