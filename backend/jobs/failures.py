"""Turns whatever ended a run into the one line that a person reads on its page, and says whether it may pass.

The traceback goes to the worker's log; this line says what happened and what to do about it.
"""

import errno
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from analysis.errors import ExpertScopeError, JudgeSilentError, NotFoundError
from backend.logs import Redact
from backend.services import passing_reason

_GIB = 2**30
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SHAKY = frozenset({errno.EACCES, errno.EAGAIN, errno.EBUSY, errno.EIO, errno.ENOENT, errno.ESTALE, errno.ETIMEDOUT})
"""What a file server that is away for a moment answers."""


@dataclass(frozen=True)
class Passing:
    """A failure that may pass. `fresh_process` says that only another process can find out."""

    reason: str
    fresh_process: bool = False


def passing(error: BaseException, stage: str, redact: Redact) -> Passing | None:
    """Why `error`, raised during `stage`, may be gone after a pause; None where it would come again."""
    if _is_gpu_lost(error):
        return Passing(f"the GPU was lost during {stage} ({redact(_first_line(error))})", fresh_process=True)
    if _is_full_disk(error):
        return Passing(f"the disk of the data folder is full ({stage} was being stored): make room")
    if isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        return Passing(f"the database did not answer during {stage} ({redact(_first_line(error.orig or error))})")
    if isinstance(error, JudgeSilentError):
        return Passing(redact(_one_line(error.message)))
    if _is_model_away(error):
        return Passing(redact(_one_line(str(error))))
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help."""
    return _is_gpu_memory(error) or _is_machine_memory(error)


def out_of_memory(error: BaseException, stage: str) -> str:
    """Which memory ran out during `stage`."""
    return (
        f"the GPU ran out of memory during {stage}{_gpu_use()}"
        if _is_gpu_memory(error)
        else f"the machine ran out of memory during {stage}"
    )


def explain(error: BaseException, stage: str, redact: Redact) -> str:
    """One line about `error`, which was raised during `stage`; it holds no path of this machine."""
    if isinstance(error, ExpertScopeError):
        return redact(_one_line(error.message))
    away = passing_reason(error) if isinstance(error, DBAPIError) else None
    if away is not None:
        return f"{away} ({stage} was in progress); then resume the run"
    if _is_gpu_memory(error):
        return f"{out_of_memory(error, stage)}: free it, choose a smaller preset or run on the CPU"
    if _is_machine_memory(error):
        return f"{out_of_memory(error, stage)}: choose a smaller preset or a smaller model"
    if _is_full_disk(error):
        return f"the disk of the data folder is full ({stage} was being stored): make room and resume the run"
    reason = redact(_one_line(str(error))) or "no reason given"
    return f"unexpected {type(error).__name__} during {stage}: {reason}; the worker's log says where"


def _is_full_disk(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, OperationalError) and "disk is full" in str(error.orig)


def _is_model_away(error: BaseException) -> bool:
    """A model that was there when it was registered: its folder cannot be read now."""
    if not isinstance(error, ExpertScopeError) or error.field != "model":
        return False
    cause = error.__cause__
    return isinstance(error, NotFoundError) or (isinstance(cause, OSError) and cause.errno in _SHAKY)


def _is_gpu_lost(error: BaseException) -> bool:
    """After such an error every further call to the GPU fails in this process."""
    from torch import AcceleratorError

    if _is_gpu_memory(error):
        return False
    return isinstance(error, AcceleratorError) or (isinstance(error, RuntimeError) and "CUDA error" in str(error))


def _is_gpu_memory(error: BaseException) -> bool:
    from torch import OutOfMemoryError

    return isinstance(error, OutOfMemoryError) or "CUDA out of memory" in str(error)


def _is_machine_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def _gpu_use() -> str:
    """How full the GPU is, where there is one to ask."""
    import torch

    if not torch.cuda.is_available():
        return ""
    free, total = torch.cuda.mem_get_info()
    return f" ({(total - free) / _GIB:.1f} of {total / _GIB:.1f} GiB in use)"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def _first_line(error: BaseException) -> str:
    """CUDA's errors go on with advice for programmers."""
    return _one_line(str(error).partition("\n")[0])
