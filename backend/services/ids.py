"""Short random ids for rows that people see in addresses."""

import secrets
import string

from backend.db.tables import ID_LENGTH

_ALPHABET = string.digits + string.ascii_lowercase


def new_id() -> str:
    """Twelve characters of 0-9a-z: 62 random bits, safe in URLs, file names and double clicks."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
