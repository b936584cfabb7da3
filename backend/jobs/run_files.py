"""The files that a run leaves beside its document: written into a draft, and put in place as a whole when it ends."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.services.run_files import files_folder
from backend.settings import Settings


@contextmanager
def filling(settings: Settings, run_id: str) -> Iterator[Path]:
    """A new folder to write into, which `put_in_place` takes; what it does not take is deleted. What a killed attempt
    left half written is cleared away."""
    target = files_folder(settings, run_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(".files.*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=".files.", dir=target.parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def put_in_place(settings: Settings, run_id: str, draft: Path) -> None:
    """Let the draft take the place of what an earlier attempt left; an empty one takes no place. Only for the run's
    newest attempt."""
    if any(draft.iterdir()):
        target = files_folder(settings, run_id)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
