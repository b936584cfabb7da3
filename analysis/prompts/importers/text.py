"""Bytes to text and text to messages: the two places where a hostile file could do harm before it is parsed."""

import re
from collections.abc import Iterable

from analysis.prompts.importers.faults import refusal

_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_MAX_NAMES = 12
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def shown(value: str, *, limit: int = 40) -> str:
    """`value` for an error message: one line, printable, cut after `limit` characters."""
    line = "".join(char if char.isprintable() else " " for char in value[: 4 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def listed(names: Iterable[str]) -> str:
    """Names that a file gave, for an error message: quoted, each `shown`, the first twelve."""
    quoted = [f"'{shown(name)}'" for name in names]
    return ", ".join(quoted[:_MAX_NAMES]) + (" …" if len(quoted) > _MAX_NAMES else "")


def decode(data: bytes, filename: str) -> str:
    """The file as text without its byte order mark. Raises `PromptFileError` when it is empty, binary or not UTF-8."""
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise refusal(filename, "the file is empty; expected at least one prompt")
    if data.startswith(_UTF16_MARKS):
        raise refusal(filename, "the file is UTF-16 text; save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')")
    if b"\0" in data:
        raise refusal(filename, f"the file is not text: a NUL byte at offset {data.index(0)}; expected UTF-8 text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} in line {line}"
        raise refusal(filename, f"the file is not UTF-8 text ({found}); save it as UTF-8") from None


def forbidden_character(value: str) -> str | None:
    """The first control character or lone surrogate in `value`, as "U+0007": a database cannot keep it faithfully."""
    found = _NOT_TEXT.search(value)
    return f"U+{ord(found.group()):04X}" if found else None


def without_artefacts(value: str) -> str:
    """`value` with Unix line ends, and without the byte order marks and blanks that editors leave around it."""
    return value.replace("\r\n", "\n").replace("\r", "\n").strip().strip("\ufeff").strip()
