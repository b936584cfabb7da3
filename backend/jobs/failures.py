"""Turns whatever ended a run into the one line that a person reads on its page.

The traceback goes to the worker's log; this line says what happened and what to do about it.
"""

import errno

from sqlalchemy.exc import DBAPIError

from analysis.errors import ExpertScopeError
from backend.logs import Redact
from backend.services import passing_reason

_GIB = 2**30


def explain(error: BaseException, stage: str, redact: Redact) -> str:
    """One line about `error`, which was raised during `stage`; it holds no path of this machine."""
    if isinstance(error, ExpertScopeError):
        return redact(_one_line(error.message))
    if _is_gpu_memory(error):
        return (
            f"the GPU ran out of memory during {stage}{_gpu_use()}: free it, choose a smaller preset or run on the CPU"
        )
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return f"the machine ran out of memory during {stage}: choose a smaller preset or a smaller model"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk of the data folder is full ({stage} was being stored): make room and resume the run"
    passing = passing_reason(error) if isinstance(error, DBAPIError) else None
    if passing is not None:
        return f"{passing} ({stage} was in progress); then resume the run"
    reason = redact(_one_line(str(error))) or "no reason given"
    return f"unexpected {type(error).__name__} during {stage}: {reason}; the worker's log says where"


def _is_gpu_memory(error: BaseException) -> bool:
    from torch import OutOfMemoryError

    return isinstance(error, OutOfMemoryError) or "CUDA out of memory" in str(error)


def _gpu_use() -> str:
    """How full the GPU is, where there is one to ask."""
    import torch

    if not torch.cuda.is_available():
        return ""
    free, total = torch.cuda.mem_get_info()
    return f" ({(total - free) / _GIB:.1f} of {total / _GIB:.1f} GiB in use)"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
