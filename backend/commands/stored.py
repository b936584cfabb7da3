"""Opens the data folder for commands that only look: they never create one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.services import Services
    from backend.settings import Settings


@contextmanager
def open_existing(settings: "Settings") -> "Iterator[Services | None]":
    """The services over the data folder's database; None where there is no database yet."""
    from sqlalchemy import make_url

    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite":
        from pathlib import Path

        if not url.database or not Path(url.database).exists():
            yield None
            return
    from backend.services import open_services

    services = open_services(settings)
    try:
        yield services
    finally:
        services.close()
