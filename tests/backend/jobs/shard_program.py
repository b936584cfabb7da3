"""A worker whose runs have six slow shards each: python -m tests.backend.jobs.shard_program DATA.

Takes runs up until none is left for two seconds. Prints what it computes, so that a test sees what was done again.
Started, frozen and killed by test_leased_shards.py.
"""

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np

from analysis.shards import Shard
from backend import logs
from backend.jobs.leased_shards import LeasedShards, shard_folder
from backend.services import RunDocument, RunInfo, RunLostError, Services, open_services, worker_locks
from backend.services.ids import new_id
from backend.settings import Settings

STALE_SECONDS = 1.5
SHARDS = 6


def carry_out(services: Services, run: RunInfo) -> None:
    shards = LeasedShards(services.attempts, run.id, run.attempts, shard_folder(services.settings, run.id))
    for index in range(SHARDS):

        def compute(index: int = index) -> Shard:
            print("computing", run.id, index, flush=True)
            time.sleep(0.2)
            return Shard({"x": np.full(4, index)})

        shard = shards.once(f"part-{index}", compute)
        assert shard.arrays["x"].tolist() == [index] * 4
    document = {"schema": "test", "verdict": {"sentence": "Done."}}
    services.runs.finish(run.id, RunDocument(document), run.attempts)
    print("done", run.id, flush=True)


def main(data: str) -> None:
    settings = Settings(data_dir=Path(data), worker_stale_seconds=STALE_SECONDS)
    logs.configure(settings)
    services, worker_id = open_services(settings), new_id()

    def beat() -> None:
        while True:
            services.workers.beat(worker_id, os.getpid())
            time.sleep(0.2)

    with worker_locks.holding(settings, worker_id):
        services.workers.beat(worker_id, os.getpid())
        threading.Thread(target=beat, daemon=True).start()
        print("ready", flush=True)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            run = services.attempts.take(worker_id)
            if run is None:
                time.sleep(0.05)
                continue
            try:
                carry_out(services, run)
            except RunLostError as error:
                print("lost", error.message, flush=True)
            end = time.monotonic() + 2


if __name__ == "__main__":
    main(*sys.argv[1:])
