"""A private PostgreSQL server for the tests: started on first use on a socket in a folder of its own, gone at the end.

PostgreSQL refuses to run as root, so under root it runs as another user. Each test gets a fresh database, copied from
one that the migrations have been run on.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text

NO_POSTGRES = "PostgreSQL is not installed: apt-get install postgresql (`make test` does so as root)"
TEMPLATE = "migrated"


def programs() -> Path | None:
    """The folder with initdb and pg_ctl; Debian keeps it outside of PATH."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    return folders[-1].parent if folders else None


class Server:
    """A running server. Its databases are thrown away, so it need not wait for the disk."""

    def __init__(self, folder: Path, bin_folder: Path, owner: str | None) -> None:
        self._folder, self._bin, self._owner = folder, bin_folder, owner
        self._number = 0

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://tests@/{database}?host={self._folder}"

    def start(self) -> None:
        from backend.db import Database, migrate

        self._run("initdb", "-D", f"{self._folder}/db", "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=60"
        self._run("pg_ctl", "-D", f"{self._folder}/db", "-w", "-o", options, "-l", f"{self._folder}/log", "start")
        self._execute(f"create database {TEMPLATE}")
        database = Database(self.url(TEMPLATE))
        migrate(database)
        database.close()

    def stop(self) -> None:
        self._run("pg_ctl", "-D", f"{self._folder}/db", "-m", "immediate", "-w", "stop")

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """The URL of a new database, dropped at the end."""
        self._number += 1
        name = f"test_{os.getpid()}_{self._number}"
        self._execute(f"create database {name} template {TEMPLATE if migrated else 'template0'}")
        try:
            yield self.url(name)
        finally:
            self._execute(f"drop database {name} with (force)")

    def _execute(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments],
            user=self._owner,
            group=pwd.getpwnam(self._owner).pw_gid if self._owner else None,
            extra_groups=[] if self._owner else None,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )


@contextmanager
def running_server() -> Iterator[Server]:
    """A server for as long as the block lasts."""
    bin_folder = programs()
    assert bin_folder is not None, NO_POSTGRES
    owner = _unprivileged() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="expertscope-postgres-"))
    if owner:
        os.chown(folder, pwd.getpwnam(owner).pw_uid, -1)
    server = Server(folder, bin_folder, owner)
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
