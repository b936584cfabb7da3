"""What this machine has, read without loading torch, which would take the server seconds."""

from pathlib import Path

_MEMORY = Path("/proc/meminfo")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_GPU = Path("/dev/nvidiactl")


def memory_bytes(meminfo: Path = _MEMORY, limits: tuple[Path, ...] = _LIMITS) -> int | None:
    """The memory that a process may have: the machine's, or its container's limit. None where nothing says so."""
    found = [value for value in (_total(meminfo), *(_limit(path) for path in limits)) if value]
    return min(found, default=None)


def has_gpu() -> bool:
    """Whether NVIDIA's driver is there, so that a run on device "auto" most likely computes on a GPU."""
    return _GPU.exists()


def _total(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    total = next((line.split() for line in lines if line.startswith("MemTotal:")), None)
    return int(total[1]) * 1024 if total and total[1].isdecimal() else None


def _limit(path: Path) -> int | None:
    """A cgroup's limit; "max" or nothing is none."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None
