"""The key that signs sessions: from the settings, or made once and kept in the data folder for its owner alone."""

import os
import secrets

from backend.settings import Settings

FILE = "secret.key"


def secret_key(settings: Settings) -> str:
    """At least 32 characters, the same at every start of every process on this data folder."""
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    path = settings.data_dir / FILE
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        pass
    # A second process may be here at the same time: whoever links the finished file first has made the key.
    draft = path.with_name(f"{FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(48))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii")
