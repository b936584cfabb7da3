"""Folders of this machine as people write them. What the system would choke on is refused before it is asked."""

import os
from pathlib import Path

from analysis.errors import InputError


def resolved(text: str, field: str) -> Path:
    """The folder, absolute and without links; it need not exist.

    Raises InputError for what cannot be a path: a control character, a name that is too long, a home of nobody.
    """
    if not text.isprintable():
        raise InputError(f"{field} holds a character that no path has: give a folder on the server", field=field)
    try:
        folder = Path(text).expanduser().resolve()
        _ = folder.exists()
    except (OSError, RuntimeError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise InputError(f"{field} cannot be used as a folder: {reason}", field=field) from fault
    return folder


def is_there(text: str) -> bool:
    """Whether something of this name exists, seen from where the server was started; never raises."""
    try:
        return os.path.lexists(text)
    except (OSError, ValueError):
        return False
