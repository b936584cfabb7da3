"""A worker whose GPU is lost in its first life: python -m tests.backend.jobs.gpu_program DATA.

A process cannot know of the one that it was, so a file tells. Ends when the run is done. Started by test_retry.py.
"""

import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from backend import logs
from backend.jobs.warm_model import WarmModel
from backend.jobs.work import WORK, Task
from backend.jobs.worker import run_worker
from backend.services import RunDocument
from backend.settings import Settings

STOP = threading.Event()


def work(task: Task, *_: object) -> RunDocument:
    task.progress("capture", 0, 1)
    mark = task.services.settings.data_dir / "gpu-was-lost"
    if not mark.exists():
        mark.touch()
        print("lost", os.getpid(), flush=True)
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")
    print("done", os.getpid(), flush=True)
    threading.Timer(1.0, STOP.set).start()
    return RunDocument({"schema": "test", "verdict": {"sentence": "Done."}})


def main(data: str) -> None:
    settings = Settings(data_dir=Path(data), first_run=False)
    logs.configure(settings)
    loaded: Any = SimpleNamespace(description=SimpleNamespace(parameters=1))
    WarmModel.get = lambda *_: loaded  # type: ignore[method-assign]
    WORK["trace"] = work  # type: ignore[index]
    run_worker(settings, STOP)


if __name__ == "__main__":
    main(*sys.argv[1:])
