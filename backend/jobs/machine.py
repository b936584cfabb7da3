"""What the worker computes with. The server never loads torch, so the worker says it with its first heartbeat."""

from typing import Any


def describe_machine() -> dict[str, Any]:
    """Threads of torch, its version, and the name and memory (bytes) of each GPU that it sees."""
    import torch

    gpus = [torch.cuda.get_device_properties(place) for place in range(torch.cuda.device_count())]
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "gpus": [{"name": gpu.name, "memory_bytes": gpu.total_memory} for gpu in gpus],
    }
