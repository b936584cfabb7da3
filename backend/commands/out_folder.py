"""The folder that `--out` names: checked before the work, filled only when all of it is there."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.errors import InputError


def check_out(out: Path) -> None:
    """Raise InputError when nothing could be written to `out`, rather than after an hour of work."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out '{out}' is a file: expected a folder, or a name that is free", field="out")
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(
            f"--out '{out}' cannot be written: '{existing}' is not a folder that you may write to", field="out"
        )


@contextmanager
def filling(out: Path) -> Iterator[Path]:
    """A new folder to write into. When the block ends well its files appear in `out`; otherwise `out` is untouched.

    Files that `out` has already are replaced one by one, others stay.
    """
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield draft
        _publish(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _publish(draft: Path, out: Path) -> None:
    if out.exists():
        for path in draft.iterdir():
            path.replace(out / path.name)
        return
    draft.chmod(0o777 & ~_umask())  # mkdtemp makes folders that only their owner may read
    draft.rename(out)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
