"""A process with durable jobs of six slow shards each: python -m tests.backend.jobs.durable_program DATA [RUN …].

Started and killed by test_durable.py. Prints what it computes, so that a test sees what was done again.
"""

import sys
import time
from pathlib import Path

import numpy as np

from analysis.shards import Shard, ShardStore
from backend import logs
from backend.jobs.durable import Jobs
from backend.settings import Settings


def perform(run_id: str, shards: ShardStore) -> str:
    for index in range(6):

        def compute(index: int = index) -> Shard:
            print("computing", index, flush=True)
            time.sleep(0.2)
            return Shard({"x": np.full(4, index)})

        shard = shards.once(f"part-{index}", compute)
        assert shard.arrays["x"].tolist() == [index] * 4
    print("done", run_id, flush=True)
    return "done"


def main(data: str, *runs: str) -> None:
    settings = Settings(data_dir=Path(data))
    logs.configure(settings)
    jobs = Jobs(settings, perform)
    for run in runs:
        jobs.start(run)
    time.sleep(0.2)
    while jobs.busy():
        time.sleep(0.05)
    jobs.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
