"""How many threads torch computes with, for the worker and the commands.

OpenMP's threads wait for one another by spinning. On two busy cores the audit of a tiny model took 282 s with two
spinning threads, 40 s with two that sleep, and 18 s with one: its matrices are too small to share.
"""

import os

SMALL_PARAMETERS = 20_000_000

_default: int | None = None


def wait_asleep() -> None:
    """Let waiting threads sleep unless the environment says otherwise. Call it before torch is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def use_threads(parameters: int, wanted: int = 0) -> int:
    """Set and return the number of threads for a model of that size; `wanted` overrides the choice.

    A small model gets one, any other what torch chose at its start: OMP_NUM_THREADS, else one per core.
    """
    import torch

    global _default  # noqa: PLW0603
    if _default is None:
        _default = torch.get_num_threads()
    count = wanted or (1 if parameters < SMALL_PARAMETERS else _default)
    torch.set_num_threads(count)
    return count
