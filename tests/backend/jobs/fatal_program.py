"""A process whose run takes it down: python -m tests.backend.jobs.fatal_program DATA RECOVERIES.

Prints why the run is given up, or starts it and dies of it. Started by test_giving_up.py.
"""

import os
import sys
import time
from pathlib import Path

from analysis.shards import ShardStore
from backend import logs
from backend.jobs import durable
from backend.settings import Settings

RUN = "run1"


def perform(run_id: str, shards: ShardStore) -> str:
    os._exit(9)


def main(data: str, recoveries: str) -> None:
    durable.MAX_RECOVERIES = int(recoveries)
    settings = Settings(data_dir=Path(data))
    logs.configure(settings)
    jobs = durable.Jobs(settings, perform)
    reason = None
    while reason is None:
        if not jobs.busy():
            reason = jobs.given_up(RUN)
            if reason is None:
                jobs.start(RUN)
        time.sleep(0.05)
    print(reason)
    jobs.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
