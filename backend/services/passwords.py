"""Passwords: argon2id hashes with the library's recommended cost, and what a new one has to be."""

import hashlib

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from analysis.errors import InputError

SHORTEST, LONGEST = 12, 256
_hasher = PasswordHasher()
_NOBODY = _hasher.hash("the password of an account that is not there")
_TOO_COMMON = frozenset({"password", "expertscope", "qwerty", "admin", "letmein", "welcome", "changeme"})


def hash_password(name: str, password: str) -> str:
    """The hash to keep. Raises InputError for a password that is too short, too long or a guess."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(
            f"the password has {len(password)} characters: {SHORTEST} to {LONGEST} are taken, such as four words",
            field="password",
        )
    plain = password.lower().strip("0123456789!?.-_ ")
    if len(set(password)) < 5 or plain in _TOO_COMMON | {name.lower()}:
        raise InputError("the password is one that is tried first: choose another", field="password")
    return _hasher.hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Whether the password is the one behind the hash. Takes as long where there is no hash, so that the time of an
    answer does not tell which accounts exist."""
    try:
        return _hasher.verify(kept or _NOBODY, password[:LONGEST]) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def is_dated(kept: str) -> bool:
    """Whether the hash was made with less cost than is taken now."""
    return _hasher.check_needs_rehash(kept)


def digest(secret: str) -> str:
    """What is kept of a random secret. It needs no slow hash: nobody can try 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()
